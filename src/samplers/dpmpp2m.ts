/**
 * DPM-Solver++(2M): Lu, Zhou, Bao, Chen, Li, Zhu 2022, "DPM-Solver++: fast solver for guided sampling of diffusion
 * probabilistic models", arXiv:2211.01095, algorithm 2 (midpoint form).
 *
 * What differs: e^-h is written as alpha_s sigma_t / (alpha_t sigma_s), so pure noise (lambda = -inf) and clean data
 * (lambda = inf) need no special values; the steps that fall back to first order are those of diffusers.
 */

import { type Latent, lincomb } from '../tensor/latent'
import { lambda } from './level'
import { readOptions } from './options'
import type { Sampler } from './sampler'

/** Options of {@link dpmpp2m}. */
export interface Dpmpp2mOptions {
  /** Take the last step at first order when there are fewer than 15. @defaultValue true */
  readonly lowerOrderFinal?: boolean
  /** Take the last step at first order always. @defaultValue false */
  readonly eulerAtFinal?: boolean
}

/** With fewer steps than this the authors' code takes the last one at first order, for stability. */
const FEW_STEPS = 15

/**
 * DPM-Solver++(2M).
 *
 * With h = lambda' - lambda, k = h / (2 h_previous), c = alpha' (1 - e^-h) = alpha' - alpha sigma' / sigma:
 * x' = sigma' / sigma x + c ((1 + k) x0 - k x0_previous); first order is k = 0.
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function dpmpp2m(options: Dpmpp2mOptions = {}): Sampler {
  const { lowerOrderFinal, eulerAtFinal } = readOptions(
    'dpmpp2m',
    { ...options },
    {
      lowerOrderFinal: { default: true },
      eulerAtFinal: { default: false },
    },
  )
  return function* (x, schedule) {
    const few = schedule.levels.length - 1 < FEW_STEPS
    const steps = schedule.steps()
    let previous: { readonly x0: Latent; readonly lambda: number } | undefined
    for (const [index, [level, next]] of steps.entries()) {
      const reply = yield { x, level }
      const last = index === steps.length - 1
      const firstOrder = last && (next.sigma === 0 || eulerAtFinal || (lowerOrderFinal && few))
      const r = next.sigma / level.sigma
      const c = next.alpha - level.alpha * r
      const h = lambda(next) - lambda(level)
      const hPrevious = previous === undefined ? 0 : lambda(level) - previous.lambda
      const k = firstOrder || hPrevious <= 0 ? 0 : h / (2 * hPrevious) // 0 after pure noise: h_previous is infinite
      x =
        previous === undefined || k === 0
          ? lincomb([r, reply.x], [c, reply.x0])
          : lincomb([r, reply.x], [c * (1 + k), reply.x0], [-c * k, previous.x0])
      previous = { x0: reply.x0, lambda: lambda(level) }
    }
    return x
  }
}
