/** Comparing two lists of numbers; a failure says where and by how much. */

/** What is allowed: |got - want| ≤ absolute + relative · |want|. */
export interface Tolerance {
  readonly absolute: number
  readonly relative: number
}

/** Throws with index, want, got, max abs, max rel, ulp and count when anything is out of tolerance. */
export function expectClose(
  what: string,
  got: ArrayLike<number>,
  want: ArrayLike<number>,
  { absolute, relative }: Tolerance,
): void {
  if (got.length !== want.length) throw new Error(`${what}: expected ${want.length} values, got ${got.length}`)
  let count = 0
  let worst = { index: -1, excess: 0 }
  let maxAbs = 0
  let maxRel = 0
  for (let index = 0; index < want.length; index++) {
    const w = want[index] ?? Number.NaN
    const g = got[index] ?? Number.NaN
    const difference = g === w ? 0 : Math.abs(g - w)
    const excess = difference / (absolute + relative * Math.abs(w))
    maxAbs = Math.max(maxAbs, difference)
    maxRel = Math.max(maxRel, w === 0 ? 0 : difference / Math.abs(w))
    if (excess <= 1) continue
    count += 1
    if (worst.index < 0 || !(excess <= worst.excess)) worst = { index, excess }
  }
  if (count === 0) return
  const [w, g] = [want[worst.index] ?? Number.NaN, got[worst.index] ?? Number.NaN]
  throw new Error(
    `${what}: index ${worst.index} of ${want.length}: want ${w}, got ${g}; max abs ${maxAbs.toExponential(3)}, max rel ${maxRel.toExponential(3)}, ` +
      `${ulps(g, w)} ulp (f32), ${count} out of tolerance (abs ${absolute.toExponential(3)}, rel ${relative.toExponential(3)})`,
  )
}

/** Distance in units of the last place of float32. */
export function ulps(a: number, b: number): number {
  const order = (value: number) => {
    const bits = new Int32Array(Float32Array.of(value).buffer)[0] ?? 0
    return bits < 0 ? -(bits & 0x7fffffff) : bits
  }
  return Number.isFinite(a) && Number.isFinite(b) ? Math.abs(order(a) - order(b)) : Number.POSITIVE_INFINITY
}
