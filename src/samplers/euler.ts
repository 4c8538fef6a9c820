/**
 * Euler's method in x / alpha over sigma / alpha, with optional churn: Karras, Aittala, Aila, Laine 2022, "Elucidating
 * the design space of diffusion-based generative models", arXiv:2206.00364, algorithm 2 without its second-order part.
 *
 * Without churn the step is also DDIM with eta = 0 and, on flow levels, Euler in sigma.
 */

import { CHURN_RULES, type ChurnOptions, churned } from './churn'
import { firstOrder } from './firstOrder'
import { readOptions } from './options'
import type { Sampler } from './sampler'

/** Options of {@link euler}. */
export type EulerOptions = ChurnOptions

/**
 * Euler.
 *
 * x' = r x + (alpha' - r alpha) x0, r = sigma' / sigma, after {@link ChurnOptions | churn}.
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function euler(options: EulerOptions = {}): Sampler {
  const churn = readOptions('euler', { ...options }, CHURN_RULES)
  return function* (x, schedule, noise) {
    for (const [start, next] of schedule.steps()) {
      const hat = churned(x, start, schedule, noise, churn)
      x = firstOrder(yield hat, hat.level, next)
    }
    return x
  }
}
