/**
 * Churn: fresh noise before a step, from the level it starts at up to a noisier one. Karras, Aittala, Aila, Laine 2022,
 * "Elucidating the design space of diffusion-based generative models", arXiv:2206.00364, algorithm 2, lines 4 to 6.
 */

import { type Latent, lincomb } from '../tensor/latent'
import { type Level, lambda, noiseRatio } from './level'
import type { OptionValues } from './options'
import type { Noise } from './sampler'
import type { Schedule } from './schedule'

/** Options of samplers with churn; the noise ratios are sigma / alpha. */
export interface ChurnOptions {
  /** S_churn: fresh noise of the whole run; 0 is none. @defaultValue 0 */
  readonly churn?: number
  /** S_tmin: no churn below this noise ratio. @defaultValue 0 */
  readonly churnMin?: number
  /** S_tmax: no churn above this noise ratio. @defaultValue Infinity */
  readonly churnMax?: number
  /** S_noise: standard deviation of the fresh noise. @defaultValue 1 */
  readonly churnNoise?: number
}

/** Ranges of {@link ChurnOptions}. */
export const CHURN_RULES = {
  churn: { default: 0, min: 0, max: 1e6 },
  churnMin: { default: 0, min: 0, max: Number.POSITIVE_INFINITY },
  churnMax: { default: Number.POSITIVE_INFINITY, min: 0, max: Number.POSITIVE_INFINITY },
  churnNoise: { default: 1, min: 0, max: 1e6 },
} as const

/** gamma in the paper is at most sqrt(2) - 1: no more noise is added than there already is. */
const GAMMA_MAX = Math.SQRT2 - 1

/**
 * Where a step really starts.
 *
 * gamma = min(S_churn / n, sqrt 2 - 1); the noise ratio s rises to (1 + gamma) s, that is lambda falls by ln(1 + gamma):
 * x^ = alpha^ / alpha x + S_noise sqrt(sigma^^2 - (alpha^ / alpha sigma)^2) z. It is cut where the training table ends.
 */
export function churned(
  x: Latent,
  level: Level,
  schedule: Schedule,
  noise: Noise,
  { churn, churnMin, churnMax, churnNoise }: OptionValues<typeof CHURN_RULES>,
): { readonly x: Latent; readonly level: Level } {
  const s = noiseRatio(level)
  const inside = s >= churnMin && s <= churnMax
  const gamma = inside ? Math.min(churn / (schedule.levels.length - 1), GAMMA_MAX) : 0
  if (gamma === 0 || level.alpha === 0) return { x, level }
  const hat = schedule.at(lambda(level) - Math.log1p(gamma))
  const kept = hat.alpha / level.alpha
  const added = hat.sigma ** 2 - (kept * level.sigma) ** 2
  if (added <= 0) return { x, level }
  return { x: lincomb([kept, x], [churnNoise * Math.sqrt(added), noise(level, hat)]), level: hat }
}
