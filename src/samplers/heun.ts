/**
 * Heun's second-order method, the sampler of EDM: Karras, Aittala, Aila, Laine 2022, "Elucidating the design space of
 * diffusion-based generative models", arXiv:2206.00364, algorithms 1 (without churn) and 2 (with it).
 *
 * Two evaluations a step, one in the step to sigma = 0. The slopes are averaged in the coordinates of `straight.ts`.
 */

import { lincomb } from '../tensor/latent'
import { CHURN_RULES, type ChurnOptions, churned } from './churn'
import { firstOrder } from './firstOrder'
import { readOptions } from './options'
import type { Sampler } from './sampler'
import { straightScale } from './straight'

/** Options of {@link heun}. */
export type HeunOptions = ChurnOptions

/**
 * Heun.
 *
 * y = Euler's step, D = x0 at x; x' = y + g / 2 (D' - D), D' = x0 at y.
 *
 * With the latents over k the second slope is (y - D') / s' and the first (y - D) / s', both taken at s', so their mean
 * moves y by (s' - s) / 2 (D - D') / s': g = k' (s / s' - 1). At pure noise, where s is infinite, the step stays Euler's.
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function heun(options: HeunOptions = {}): Sampler {
  const churn = readOptions('heun', { ...options }, CHURN_RULES)
  return function* (x, schedule, noise) {
    for (const [start, next] of schedule.steps()) {
      const hat = churned(x, start, schedule, noise, churn)
      const { level } = hat
      const first = yield hat
      x = firstOrder(first, level, next)
      const k = straightScale(schedule.path, level)
      if (k === 0 || next.sigma === 0) continue
      const second = yield { x, level: next, inner: true }
      const kNext = straightScale(schedule.path, next)
      const g = kNext * ((level.sigma * kNext) / (k * next.sigma) - 1)
      x = lincomb([1, second.x], [g / 2, second.x0], [-g / 2, first.x0])
    }
    return x
  }
}
