/**
 * DPM-Solver++(2S): Lu, Zhou, Bao, Chen, Li, Zhu 2022, arXiv:2211.01095, algorithm 1, over pairs of the schedule's steps
 * as in diffusers: the level between the two is where the second evaluation is made.
 */

import { type Latent, lincomb } from '../tensor/latent'
import { type DpmppSolverType, SOLVER_TYPES } from './dpmppMultistep'
import { firstOrder } from './firstOrder'
import { type Level, lambda } from './level'
import { readOptions } from './options'
import type { Sampler } from './sampler'

/** Options of {@link dpmpp2s}. */
export interface Dpmpp2sOptions {
  /** @defaultValue 'midpoint' */
  readonly solverType?: DpmppSolverType
  /** Take the last step at first order always, not only when it leads to clean data. @defaultValue false */
  readonly lowerOrderFinal?: boolean
}

/**
 * DPM-Solver++(2S).
 *
 * s, u, t three neighbouring levels, h = lambda_t - lambda_s, r = (lambda_u - lambda_s) / h, c = alpha_t (1 - e^-h):
 * x_t = sigma_t / sigma_s x_s + c D_s + w (D_u - D_s) / r, w = c / 2 or, for the Heun type, alpha_t - c / h.
 *
 * Its first two terms are the first-order step from x_u with D_s, since x_u is the first-order step from x_s with D_s;
 * so an edit of x_u counts.
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function dpmpp2s(options: Dpmpp2sOptions = {}): Sampler {
  const { solverType, lowerOrderFinal } = readOptions(
    'dpmpp2s',
    { ...options },
    { solverType: { default: 'midpoint', words: SOLVER_TYPES }, lowerOrderFinal: { default: false } },
  )
  return function* (x, schedule) {
    let start: { readonly level: Level; readonly x0: Latent } | undefined // s, where a pair has begun
    const steps = schedule.steps()
    for (const [index, [level, next]] of steps.entries()) {
      const reply = yield { x, level }
      const lowered = next.sigma === 0 || (lowerOrderFinal && index === steps.length - 1)
      if (start === undefined || start.level.alpha === 0 || lowered) {
        x = firstOrder(reply, level, next)
        start = start === undefined ? { level, x0: reply.x0 } : undefined
        continue
      }
      const h = lambda(next) - lambda(start.level)
      const r = (lambda(level) - lambda(start.level)) / h
      const c = next.alpha - (start.level.alpha * next.sigma) / start.level.sigma
      const w = (solverType === 'midpoint' ? c / 2 : next.alpha - c / h) / r
      const base = firstOrder({ x: reply.x, x0: start.x0 }, level, next)
      x = lincomb([1, base], [w, reply.x0], [-w, start.x0])
      start = undefined
    }
    return x
  }
}
