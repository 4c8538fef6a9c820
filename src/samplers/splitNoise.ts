/** How much of the noise at the next level is kept and how much is drawn anew, in ancestral steps. */

import type { Level } from './level'

/**
 * Splits the next level's noise: up^2 + down^2 = sigma'^2.
 *
 * up = eta sigma' sqrt(1 - q), q = (sigma' alpha / (alpha' sigma))^2: the ratio of the two squared noise ratios. On
 * variance-preserving levels this is eq. 16 of arXiv:2010.02502; divided by alpha' it is the ancestral step of
 * k-diffusion. At pure noise (alpha = 0) q is 0.
 *
 * @param eta - 0 keeps all of it; 1 draws as much as the forward process would have added between the levels.
 */
export function splitNoise(level: Level, next: Level, eta: number): { readonly down: number; readonly up: number } {
  const ratio = next.alpha === 0 ? 1 : (next.sigma * level.alpha) / (next.alpha * level.sigma)
  const up = eta * next.sigma * Math.sqrt(Math.max(0, 1 - ratio * ratio))
  return { down: Math.sqrt(next.sigma * next.sigma - up * up), up }
}
