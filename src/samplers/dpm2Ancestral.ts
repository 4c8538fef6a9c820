/**
 * DPM-Solver-2 with ancestral noise, as in Katherine Crowson's k-diffusion (`sample_dpm_2_ancestral`): the step of
 * {@link dpm2} down to less noise than the next level has, then fresh noise up to it.
 */

import { lincomb } from '../tensor/latent'
import { firstOrder } from './firstOrder'
import { noiseRatio } from './level'
import { readOptions } from './options'
import type { Sampler } from './sampler'
import { splitNoise } from './splitNoise'

/** Options of {@link dpm2Ancestral}. */
export interface Dpm2AncestralOptions {
  /** Share of fresh noise, 0 to 1. @defaultValue 1 */
  readonly eta?: number
  /** Standard deviation of the fresh noise. @defaultValue 1 */
  readonly noiseScale?: number
}

/**
 * DPM2 ancestral.
 *
 * s = sigma / alpha, s_d = down / alpha', s_m = sqrt(s s_d), x_m = Euler's step to s_m;
 * x' = down / sigma_m x_m + alpha' / s_m ((s - s_d) D_m - (s - s_m) D) + up z, down and up as in {@link splitNoise}.
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function dpm2Ancestral(options: Dpm2AncestralOptions = {}): Sampler {
  const { eta, noiseScale } = readOptions(
    'dpm2Ancestral',
    { ...options },
    { eta: { default: 1, min: 0, max: 1 }, noiseScale: { default: 1, min: 0, max: 1e3 } },
  )
  return function* (x, schedule, noise) {
    for (const [level, next] of schedule.steps()) {
      const first = yield { x, level }
      const { down, up } = splitNoise(level, next, eta)
      const [s, sDown] = [noiseRatio(level), down / next.alpha]
      if (level.alpha === 0 || down === 0) {
        x = firstOrder(first, level, { ...next, sigma: down }) // no midpoint in ln s
      } else {
        const middle = schedule.at(-Math.log(s * sDown) / 2)
        const sMiddle = noiseRatio(middle)
        x = firstOrder(first, level, middle)
        const second = yield { x, level: middle, inner: true }
        const gain = next.alpha / sMiddle
        x = lincomb([down / middle.sigma, second.x], [gain * (s - sDown), second.x0], [-gain * (s - sMiddle), first.x0])
      }
      if (up > 0) x = lincomb([1, x], [noiseScale * up, noise(level, next)])
    }
    return x
  }
}
