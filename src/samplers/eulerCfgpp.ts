/**
 * Euler (or DDIM) with CFG++: Chung, Kim, Park, Nam, Ye 2024, "CFG++: manifold-constrained classifier free guidance for
 * diffusion models", arXiv:2406.08070, algorithm 2.
 *
 * The data is that of the guided branch, the noise that of the unconditional one, so the guidance scale is lambda of the
 * paper, 0 to 1. Where a reply has no unconditional estimate (outside an interval of guidance) the step is Euler's.
 */

import { lincomb } from '../tensor/latent'
import { readOptions } from './options'
import type { Sampler } from './sampler'

/**
 * Euler CFG++.
 *
 * x' = alpha' x0 + sigma' (x - alpha u) / sigma, u the data without the prompt.
 *
 * @throws {@link EngineError} `unknown-option` when an option is given: there is none.
 */
export function eulerCfgpp(options: Readonly<Record<string, never>> = {}): Sampler {
  readOptions('eulerCfgpp', options, {})
  return function* (x, schedule) {
    for (const [level, next] of schedule.steps()) {
      const reply = yield { x, level }
      const r = next.sigma / level.sigma
      x = lincomb([r, reply.x], [next.alpha, reply.x0], [-r * level.alpha, reply.uncond ?? reply.x0])
    }
    return x
  }
}
