/**
 * Latent consistency sampling: Luo, Tan, Huang, Li, Zhao 2023, "Latent consistency models", arXiv:2310.04378,
 * algorithm 3 (multistep), with the boundary scalings c_skip and c_out in the form its authors published.
 */

import { lincomb } from '../tensor/latent'
import { readOptions } from './options'
import type { Sampler } from './sampler'

/** Options of {@link lcm}. */
export interface LcmOptions {
  /** Whether the boundary scalings are applied; models distilled without them take x0 as it is. @defaultValue true */
  readonly boundary?: boolean
  /** Factor on the network's time inside the boundary scalings. @defaultValue 10 */
  readonly timestepScaling?: number
  /** Standard deviation of the data in the boundary scalings. @defaultValue 0.5 */
  readonly sigmaData?: number
}

/**
 * LCM.
 *
 * tau = scaling t; c_skip = sd^2 / (tau^2 + sd^2); c_out = tau / sqrt(tau^2 + sd^2);
 * x' = alpha' (c_skip x + c_out x0) + sigma' z. Without the boundary scalings c_skip = 0 and c_out = 1.
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function lcm(options: LcmOptions = {}): Sampler {
  const { boundary, timestepScaling, sigmaData } = readOptions(
    'lcm',
    { ...options },
    {
      boundary: { default: true },
      timestepScaling: { default: 10, min: 0, max: 1e6 },
      sigmaData: { default: 0.5, min: 1e-6, max: 1e6 },
    },
  )
  return function* (x, schedule, noise) {
    for (const [level, next] of schedule.steps()) {
      const reply = yield { x, level }
      const tau = timestepScaling * level.t
      const variance = tau ** 2 + sigmaData ** 2
      const skip = boundary ? sigmaData ** 2 / variance : 0
      const out = boundary ? tau / Math.sqrt(variance) : 1
      const fresh = next.sigma > 0 ? [[next.sigma, noise(level, next)] as const] : []
      x = lincomb([next.alpha * skip, reply.x], [next.alpha * out, reply.x0], ...fresh)
    }
    return x
  }
}
