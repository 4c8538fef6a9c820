/**
 * DDIM: Song, Meng, Ermon 2021, "Denoising diffusion implicit models", arXiv:2010.02502, eqs. 12 and 16.
 *
 * The paper's variance is written with alpha / sigma only (see {@link splitNoise}), so that it holds on flow levels too.
 */

import { lincomb } from '../tensor/latent'
import { readOptions } from './options'
import type { Sampler } from './sampler'
import { splitNoise } from './splitNoise'

/** Options of {@link ddim}. */
export interface DdimOptions {
  /** Share of fresh noise: 0 is deterministic, 1 is ancestral sampling. @defaultValue 0 */
  readonly eta?: number
}

/**
 * DDIM.
 *
 * x' = alpha' x0 + down eps + up z, with eps = (x - alpha x0) / sigma and up^2 + down^2 = sigma'^2.
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function ddim(options: DdimOptions = {}): Sampler {
  const { eta } = readOptions('ddim', { ...options }, { eta: { default: 0, min: 0, max: 1 } })
  return function* (x, schedule, noise) {
    for (const [level, next] of schedule.steps()) {
      const reply = yield { x, level }
      const { down, up } = splitNoise(level, next, eta)
      const r = down / level.sigma
      const fresh = up > 0 ? [[up, noise(level, next)] as const] : []
      x = lincomb([r, reply.x], [next.alpha - level.alpha * r, reply.x0], ...fresh)
    }
    return x
  }
}
