/** The step that takes x0 for constant: DDIM, Euler and the first order of every exponential integrator are this one. */

import { type Latent, lincomb } from '../tensor/latent'
import type { Level } from './level'
import type { SamplerReply } from './sampler'

/** x' = r x + (alpha' - r alpha) x0, r = sigma' / sigma: the noise in x is scaled, the data moved to its new weight. */
export function firstOrder({ x, x0 }: Pick<SamplerReply, 'x' | 'x0'>, level: Level, next: Level): Latent {
  const r = next.sigma / level.sigma
  return lincomb([r, x], [next.alpha - r * level.alpha, x0])
}
