/** Medians and percentiles of measured times. */

/** The value below which a share of the values lies, between the two nearest ones. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = share * (sorted.length - 1)
  const low = sorted[Math.floor(at)] ?? Number.NaN
  const high = sorted[Math.ceil(at)] ?? Number.NaN
  return low + (high - low) * (at - Math.floor(at))
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}

/** What is kept of many times. */
export interface Spread {
  readonly count: number
  readonly min: number
  readonly p10: number
  readonly p50: number
  readonly p90: number
  readonly max: number
}

export function spread(values: readonly number[]): Spread {
  const [min, p10, p50, p90, max] = [0, 0.1, 0.5, 0.9, 1].map((share) => percentile(values, share))
  return {
    count: values.length,
    min: min ?? Number.NaN,
    p10: p10 ?? Number.NaN,
    p50: p50 ?? Number.NaN,
    p90: p90 ?? Number.NaN,
    max: max ?? Number.NaN,
  }
}
