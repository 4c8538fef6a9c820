/**
 * Euler's method in x / alpha over sigma / alpha, with optional churn: Karras, Aittala, Aila, Laine 2022, "Elucidating
 * the design space of diffusion-based generative models", arXiv:2206.00364, algorithm 2 without its second-order part.
 *
 * Without churn the step is also DDIM with eta = 0 and, on flow levels, Euler in sigma.
 */

import { lincomb } from '../tensor/latent'
import { lambda, noiseRatio } from './level'
import { readOptions } from './options'
import type { Sampler } from './sampler'

/** Options of {@link euler}; the noise ratios are sigma / alpha. */
export interface EulerOptions {
  /** S_churn: fresh noise of the whole run; 0 is none. @defaultValue 0 */
  readonly churn?: number
  /** S_tmin: no churn below this noise ratio. @defaultValue 0 */
  readonly churnMin?: number
  /** S_tmax: no churn above this noise ratio. @defaultValue Infinity */
  readonly churnMax?: number
  /** S_noise: standard deviation of the fresh noise. @defaultValue 1 */
  readonly churnNoise?: number
}

/** gamma in the paper is at most sqrt(2) - 1: no more noise is added than there already is. */
const GAMMA_MAX = Math.SQRT2 - 1

/**
 * Euler.
 *
 * Churn: gamma = min(S_churn / n, sqrt 2 - 1); the noise ratio s rises to (1 + gamma) s, that is lambda falls by
 * ln(1 + gamma): x^ = alpha^ / alpha x + S_noise sqrt(sigma^^2 - (alpha^ / alpha sigma)^2) z.
 * Step: x' = r x + (alpha' - r alpha) x0, r = sigma' / sigma.
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function euler(options: EulerOptions = {}): Sampler {
  const max = Number.POSITIVE_INFINITY
  const { churn, churnMin, churnMax, churnNoise } = readOptions(
    'euler',
    { ...options },
    {
      churn: { default: 0, min: 0, max: 1e6 },
      churnMin: { default: 0, min: 0, max },
      churnMax: { default: max, min: 0, max },
      churnNoise: { default: 1, min: 0, max: 1e6 },
    },
  )
  return function* (x, schedule, noise) {
    const n = schedule.levels.length - 1
    for (const [start, next] of schedule.steps()) {
      let level = start
      const s = noiseRatio(start)
      const gamma = s >= churnMin && s <= churnMax ? Math.min(churn / n, GAMMA_MAX) : 0
      if (gamma > 0 && start.alpha > 0) {
        level = schedule.at(lambda(start) - Math.log1p(gamma)) // cut where the training table ends
        const kept = level.alpha / start.alpha
        const added = level.sigma ** 2 - (kept * start.sigma) ** 2
        if (added > 0) x = lincomb([kept, x], [churnNoise * Math.sqrt(added), noise(start, level)])
        else level = start
      }
      const reply = yield { x, level }
      const r = next.sigma / level.sigma
      x = lincomb([r, reply.x], [next.alpha - r * level.alpha, reply.x0])
    }
    return x
  }
}
