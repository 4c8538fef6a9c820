/**
 * Euler with ancestral noise, as in k-diffusion's `sample_euler_ancestral`: a deterministic step down to less noise than
 * the next level has, then fresh noise up to it.
 *
 * On levels it is DDIM with eta = 1: Song, Meng, Ermon 2021, arXiv:2010.02502, eq. 16.
 */

import { lincomb } from '../tensor/latent'
import { readOptions } from './options'
import type { Sampler } from './sampler'
import { splitNoise } from './splitNoise'

/** Options of {@link eulerAncestral}. */
export interface EulerAncestralOptions {
  /** Share of fresh noise, 0 to 1. @defaultValue 1 */
  readonly eta?: number
}

/**
 * Euler ancestral.
 *
 * r = down / sigma; x' = r x + (alpha' - r alpha) x0 + up z.
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function eulerAncestral(options: EulerAncestralOptions = {}): Sampler {
  const { eta } = readOptions('eulerAncestral', { ...options }, { eta: { default: 1, min: 0, max: 1 } })
  return function* (x, schedule, noise) {
    for (const [level, next] of schedule.steps()) {
      const reply = yield { x, level }
      const { down, up } = splitNoise(level, next, eta)
      const r = down / level.sigma
      const fresh = up > 0 ? [[up, noise(level, next)] as const] : []
      x = lincomb([r, reply.x], [next.alpha - r * level.alpha, reply.x0], ...fresh)
    }
    return x
  }
}
