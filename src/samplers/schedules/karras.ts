/** Karras spacing: Karras, Aittala, Aila, Laine 2022, arXiv:2206.00364, eq. 5. */

/**
 * n values from `max` to `min`, equally spaced in s^(1 / rho).
 *
 * s_i = (max^(1/rho) + i / (n - 1) (min^(1/rho) - max^(1/rho)))^rho.
 *
 * @param rho - how much closer together the small values are. @defaultValue 7
 */
export function karras(max: number, min: number, n: number, rho = 7): number[] {
  const high = max ** (1 / rho)
  const low = min ** (1 / rho)
  return Array.from({ length: n }, (_, i) => (high + (n === 1 ? 0 : i / (n - 1)) * (low - high)) ** rho)
}
