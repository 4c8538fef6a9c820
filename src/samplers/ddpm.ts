/** DDPM: Ho, Jain, Abbeel 2020, "Denoising diffusion probabilistic models", arXiv:2006.11239, eqs. 6, 7 and algorithm 2. */

import { lincomb } from '../tensor/latent'
import type { Level } from './level'
import { readOptions } from './options'
import type { Sampler } from './sampler'
import { splitNoise } from './splitNoise'

/** Options of {@link ddpm}. */
export interface DdpmOptions {
  /**
   * The variance of the reverse step, section 3.2 of the paper: `small` is that of the posterior given x0 (beta tilde),
   * `large` that of the forward step (beta).
   * @defaultValue 'small'
   */
  readonly variance?: 'small' | 'large'
}

/**
 * DDPM.
 *
 * x' = alpha' x0 + down eps + up z: the posterior's mean is the ancestral step's, see {@link splitNoise} with eta = 1.
 * `small`: the noise is up^2; `large`: sigma^2 - (alpha / alpha' sigma')^2, except in the step to clean data, which adds
 * none.
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function ddpm(options: DdpmOptions = {}): Sampler {
  const { variance } = readOptions(
    'ddpm',
    { ...options },
    { variance: { default: 'small', words: ['small', 'large'] } },
  )
  const deviation = (level: Level, next: Level, up: number) =>
    variance === 'small' || next.sigma === 0
      ? up
      : Math.sqrt(Math.max(0, level.sigma ** 2 - ((level.alpha / next.alpha) * next.sigma) ** 2))

  return function* (x, schedule, noise) {
    for (const [level, next] of schedule.steps()) {
      const reply = yield { x, level }
      const { down, up } = splitNoise(level, next, 1)
      const r = down / level.sigma
      const fresh = deviation(level, next, up)
      x = lincomb([r, reply.x], [next.alpha - r * level.alpha, reply.x0])
      if (fresh > 0) x = lincomb([1, x], [fresh, noise(level, next)])
    }
    return x
  }
}
