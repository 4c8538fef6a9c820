/**
 * Trajectory consistency sampling: Zheng, Hu, Fan, Liu, Wang, Xu, Zhang 2024, "Trajectory consistency distillation",
 * arXiv:2402.19159, algorithm 4 (strategic stochastic sampling).
 */

import { lincomb } from '../tensor/latent'
import { firstOrder } from './firstOrder'
import { readOptions } from './options'
import type { Sampler } from './sampler'

/** Options of {@link tcd}. */
export interface TcdOptions {
  /** gamma: 0 is deterministic, 1 draws all noise anew as LCM does. @defaultValue 0.3 */
  readonly eta?: number
}

/**
 * TCD.
 *
 * The network is taken at its word down to s = (1 - gamma) t': x_s = alpha_s x0 + sigma_s eps. From there the forward
 * process leads back: x' = alpha' / alpha_s x_s + sqrt(sigma'^2 - (alpha' / alpha_s sigma_s)^2) z.
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function tcd(options: TcdOptions = {}): Sampler {
  const { eta } = readOptions('tcd', { ...options }, { eta: { default: 0.3, min: 0, max: 1 } })
  return function* (x, schedule, noise) {
    for (const [level, next] of schedule.steps()) {
      const reply = yield { x, level }
      const s = schedule.atShare(next, 1 - eta)
      const kept = next.alpha / s.alpha
      const fresh = Math.sqrt(Math.max(0, next.sigma ** 2 - (kept * s.sigma) ** 2))
      x = firstOrder(reply, level, s)
      if (fresh > 0) x = lincomb([kept, x], [fresh, noise(level, next)])
    }
    return x
  }
}
