/**
 * Beta spacing of noise ratios: Lee, Kim, Kim, Lee, Ye 2024, "Beta sampling is all you need", arXiv:2407.12173, as
 * diffusers applies it (`use_beta_sigmas`). ComfyUI applies the same quantiles to timesteps, see `tablePlacings.ts`.
 */

import { betaQuantile } from './betaQuantile'

/** Both shapes of the distribution in the paper: more steps at either end. */
export const BETA_SHAPE = 0.6

/**
 * n values from `max` to `min`.
 *
 * s_i = min + F^-1(1 - i / (n - 1)) (max - min), F of Beta(0.6, 0.6).
 */
export function betaSigmas(max: number, min: number, n: number): number[] {
  return Array.from({ length: n }, (_, i) => {
    return min + betaQuantile(1 - (n === 1 ? 0 : i / (n - 1)), BETA_SHAPE) * (max - min)
  })
}
