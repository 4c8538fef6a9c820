/**
 * DPM-Solver++ for the reverse stochastic equation, two evaluations a step: Katherine Crowson's k-diffusion
 * (`sample_dpmpp_sde`, r = 1/2), after Lu, Zhou, Bao, Chen, Li, Zhu 2022, arXiv:2211.01095, algorithm 1.
 *
 * What differs: the method draws noise up to the midpoint and noise for the whole step, and the two must be parts of one
 * random path; k-diffusion takes them from a Brownian tree. Here the noise of the whole step is composed: what was drawn
 * up to the midpoint, carried on by the equation, and an independent rest, so that the variance is that of the step. For
 * eta = 1 that is the equation's own path exactly, and any source of independent noise will do.
 */

import { lincomb } from '../tensor/latent'
import { firstOrder } from './firstOrder'
import { lambda } from './level'
import { readOptions } from './options'
import type { Sampler } from './sampler'
import { splitNoise } from './splitNoise'

/** Options of {@link dpmppSde}. */
export interface DpmppSdeOptions {
  /** Share of fresh noise, 0 to 1; 0 is the probability flow. @defaultValue 1 */
  readonly eta?: number
  /** Standard deviation of the fresh noise. @defaultValue 1 */
  readonly noiseScale?: number
}

/**
 * DPM++ SDE.
 *
 * Midpoint: lambda_m = (lambda + lambda') / 2; x_m = a x + (alpha_m - a alpha) D + up_m z, a = down_m / sigma.
 * Step: x' = A x + (alpha' - A alpha) D_m + up z', A = down / sigma; down and up as in {@link splitNoise}.
 * up z' = A / a up_m z + rest, so with x taken out: x' = A / a (x_m - (alpha_m - a alpha) D) + (alpha' - A alpha) D_m + rest.
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function dpmppSde(options: DpmppSdeOptions = {}): Sampler {
  const { eta, noiseScale } = readOptions(
    'dpmppSde',
    { ...options },
    { eta: { default: 1, min: 0, max: 1 }, noiseScale: { default: 1, min: 0, max: 1e3 } },
  )
  return function* (x, schedule, noise) {
    for (const [level, next] of schedule.steps()) {
      const first = yield { x, level }
      const whole = splitNoise(level, next, eta)
      if (level.alpha === 0 || next.sigma === 0) {
        x = firstOrder(first, level, { ...next, sigma: whole.down }) // no midpoint in lambda
        if (whole.up > 0) x = lincomb([1, x], [noiseScale * whole.up, noise(level, next)])
        continue
      }
      const middle = schedule.at((lambda(level) + lambda(next)) / 2)
      const half = splitNoise(level, middle, eta)
      const a = half.down / level.sigma
      const kept = middle.alpha - a * level.alpha // of D at the midpoint
      x = lincomb([a, first.x], [kept, first.x0])
      if (half.up > 0) x = lincomb([1, x], [noiseScale * half.up, noise(level, middle)])

      const second = yield { x, level: middle, inner: true }
      const A = whole.down / level.sigma
      const carried = A / a
      const rest = Math.sqrt(Math.max(0, whole.up ** 2 - (carried * half.up) ** 2))
      x = lincomb([carried, second.x], [-carried * kept, first.x0], [next.alpha - A * level.alpha, second.x0])
      if (rest > 0) x = lincomb([1, x], [noiseScale * rest, noise(middle, next)])
    }
    return x
  }
}
