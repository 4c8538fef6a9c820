/**
 * Which of the T trained timesteps n steps visit: the spacings of table 2 in Lin, Liu, Li, Yang 2024, arXiv:2305.08891,
 * with the rounding of diffusers.
 */

/** `leading` ends early at the noisy side, `trailing` starts at T - 1, `linspace` spans 0 to T - 1. */
export type Spacing = 'leading' | 'trailing' | 'linspace'

/** Names of the spacings. */
export const SPACINGS = ['leading', 'trailing', 'linspace'] as const satisfies readonly Spacing[]

/**
 * n timesteps, noisiest first.
 *
 * leading: floor(T / n) i + offset; trailing: round(T - i T / n) - 1; linspace: from T - 1 to 0 in n points.
 *
 * @param n - steps, 1 to T.
 * @param offset - added by `leading` only.
 * @param whole - whether `linspace` rounds; solvers over sigma / alpha leave it fractional.
 */
export function spacedTimesteps(spacing: Spacing, T: number, n: number, offset: number, whole: boolean): number[] {
  switch (spacing) {
    case 'leading':
      return descending(n, (i) => Math.floor(T / n) * i + offset)
    case 'trailing':
      return trailing(T, T / n)
    case 'linspace':
      return descending(n, (i) => {
        const t = n === 1 ? 0 : (i * (T - 1)) / (n - 1)
        return whole ? roundHalfEven(t) : t
      })
    default:
      return spacing satisfies never
  }
}

/**
 * n timesteps as the multistep solvers of diffusers place them: n + 1 points, the cleanest left out.
 *
 * @param last - timesteps in use, T unless the noisiest are cut off.
 */
export function multistepTimesteps(spacing: Spacing, T: number, last: number, n: number, offset: number): number[] {
  switch (spacing) {
    case 'leading':
      return descending(n + 1, (i) => Math.floor(last / (n + 1)) * i)
        .slice(0, -1)
        .map((t) => t + offset)
    case 'trailing':
      return trailing(last, T / n)
    case 'linspace':
      return descending(n + 1, (i) => roundHalfEven((i * (last - 1)) / n)).slice(0, -1)
    default:
      return spacing satisfies never
  }
}

function descending(count: number, value: (i: number) => number): number[] {
  return Array.from({ length: count }, (_, i) => value(count - 1 - i))
}

function trailing(from: number, stride: number): number[] {
  const count = Math.ceil(from / stride - 1e-9) // T / (T / n) can come out above n, e.g. for n = 61
  return Array.from({ length: count }, (_, i) => roundHalfEven(from - i * stride) - 1)
}

/** Rounds halves to the even neighbour, as NumPy does. */
export function roundHalfEven(x: number): number {
  const floor = Math.floor(x)
  const rest = x - floor
  return rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1
}
