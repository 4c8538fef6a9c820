/** Exponential spacing: equal steps of ln s, that is of lambda. */

/**
 * n values from `max` to `min` in geometric progression.
 *
 * s_i = max (min / max)^(i / (n - 1)).
 */
export function exponential(max: number, min: number, n: number): number[] {
  const [high, low] = [Math.log(max), Math.log(min)]
  return Array.from({ length: n }, (_, i) => Math.exp(high + (n === 1 ? 0 : i / (n - 1)) * (low - high)))
}
