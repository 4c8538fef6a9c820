/**
 * DPM-Solver-2 as in Katherine Crowson's k-diffusion (`sample_dpm_2`): the midpoint method in ln s. Karras, Aittala, Aila,
 * Laine 2022, arXiv:2206.00364; Lu, Zhou, Bao, Chen, Li, Zhu 2022, arXiv:2206.00927, algorithm 1.
 *
 * Two evaluations a step, one in the step to sigma = 0; s is that of `straight.ts`.
 */

import { lincomb } from '../tensor/latent'
import { firstOrder } from './firstOrder'
import { readOptions } from './options'
import type { Sampler } from './sampler'
import { straightLevel, straightScale } from './straight'

/**
 * DPM2.
 *
 * s_m = sqrt(s s'); y_m = Euler's step to s_m; y' = y + (s' - s) (y_m - D_m) / s_m. With y, which is on the line through
 * y_m and D, taken out: x' = sigma' / sigma_m x_m + k' / s_m ((s - s') D_m - (s - s_m) D).
 *
 * @throws {@link EngineError} `unknown-option` when an option is given: there is none.
 */
export function dpm2(options: Readonly<Record<string, never>> = {}): Sampler {
  readOptions('dpm2', options, {})
  return function* (x, schedule) {
    for (const [level, next] of schedule.steps()) {
      const first = yield { x, level }
      const k = straightScale(schedule.path, level)
      if (k === 0 || next.sigma === 0) {
        x = firstOrder(first, level, next)
        continue
      }
      const kNext = straightScale(schedule.path, next)
      const [s, sNext] = [level.sigma / k, next.sigma / kNext]
      const middle = straightLevel(schedule, Math.sqrt(s * sNext))
      const sMiddle = middle.sigma / straightScale(schedule.path, middle)
      x = firstOrder(first, level, middle)
      const second = yield { x, level: middle, inner: true }
      const gain = kNext / sMiddle
      x = lincomb(
        [next.sigma / middle.sigma, second.x],
        [gain * (s - sNext), second.x0],
        [-gain * (s - sMiddle), first.x0],
      )
    }
    return x
  }
}
