/**
 * Euler with ancestral noise and CFG++: Chung, Kim, Park, Nam, Ye 2024, arXiv:2406.08070; as {@link eulerCfgpp}, down to
 * less noise than the next level has, then fresh noise up to it.
 */

import { lincomb } from '../tensor/latent'
import { readOptions } from './options'
import type { Sampler } from './sampler'
import { splitNoise } from './splitNoise'

/** Options of {@link eulerAncestralCfgpp}. */
export interface EulerAncestralCfgppOptions {
  /** Share of fresh noise, 0 to 1. @defaultValue 1 */
  readonly eta?: number
}

/**
 * Euler ancestral CFG++.
 *
 * x' = alpha' x0 + down (x - alpha u) / sigma + up z, u the data without the prompt.
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function eulerAncestralCfgpp(options: EulerAncestralCfgppOptions = {}): Sampler {
  const { eta } = readOptions('eulerAncestralCfgpp', { ...options }, { eta: { default: 1, min: 0, max: 1 } })
  return function* (x, schedule, noise) {
    for (const [level, next] of schedule.steps()) {
      const reply = yield { x, level }
      const { down, up } = splitNoise(level, next, eta)
      const r = down / level.sigma
      x = lincomb([r, reply.x], [next.alpha, reply.x0], [-r * level.alpha, reply.uncond ?? reply.x0])
      if (up > 0) x = lincomb([1, x], [up, noise(level, next)])
    }
    return x
  }
}
