/**
 * Timesteps as ComfyUI (and, for `normal` and `sgmUniform`, k-diffusion and Stability's generative-models) places them,
 * noisiest first; clean data follows.
 */

import { betaQuantile } from './betaQuantile'
import { BETA_SHAPE } from './betaSigmas'
import { roundHalfEven, spacedTimesteps } from './spaced'

/**
 * n of the timesteps 0 to T - 1, by the name of the placing.
 *
 * `normal`: n points from T - 1 to 0. `sgmUniform`: n + 1 points, the last left out. `simple`: T - 1 - floor(i T / n).
 * `beta`: (T - 1) F^-1(1 - i / n) rounded, F of Beta(0.6, 0.6), repetitions left out (so there may be fewer).
 * `ddimUniform`: floor(T / n) i + 1 (without the 1 for n = T); ComfyUI adds steps where T is no multiple of n, here there are always n.
 */
export const TABLE_PLACINGS = {
  normal: (T, n) => evenly(T, n).slice(0, n),
  sgmUniform: (T, n) => evenly(T, n + 1).slice(0, n),
  simple: (T, n) => Array.from({ length: n }, (_, i) => T - 1 - Math.floor((i * T) / n)),
  beta: (T, n) => {
    const all = Array.from({ length: n }, (_, i) => roundHalfEven(betaQuantile(1 - i / n, BETA_SHAPE) * (T - 1)))
    return all.filter((t, i) => t !== all[i - 1])
  },
  ddimUniform: (T, n) => spacedTimesteps('leading', T, n, n < T ? 1 : 0, true),
} as const satisfies Record<string, (T: number, n: number) => readonly number[]>

/** Name of a {@link TABLE_PLACINGS}. */
export type TablePlacing = keyof typeof TABLE_PLACINGS

/** Whether it is one. */
export function isTablePlacing(name: string | undefined): name is TablePlacing {
  return name !== undefined && Object.hasOwn(TABLE_PLACINGS, name)
}

function evenly(T: number, points: number): number[] {
  return Array.from({ length: points }, (_, i) => (T - 1) * (1 - (points === 1 ? 0 : i / (points - 1))))
}
