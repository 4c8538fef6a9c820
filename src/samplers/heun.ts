/**
 * Heun's second-order method: Karras, Aittala, Aila, Laine 2022, arXiv:2206.00364, algorithm 1.
 *
 * Two evaluations a step, one in the step to sigma = 0. The slopes are averaged in sigma / alpha on variance-preserving
 * and variance-exploding levels, in sigma on flow levels.
 */

import { lincomb } from '../tensor/latent'
import type { Level } from './level'
import { readOptions } from './options'
import type { Sampler } from './sampler'
import type { Path } from './schedule'

/**
 * Heun.
 *
 * y = r x + (alpha' - r alpha) D, r = sigma' / sigma: Euler's step, D = x0 at x.
 * x' = y + g / 2 (D' - D), D' = x0 at y: what the averaged slope adds, see {@link slopeGain}.
 *
 * @throws {@link EngineError} `unknown-option` when an option is given: there is none.
 */
export function heun(options: Readonly<Record<string, never>> = {}): Sampler {
  readOptions('heun', options, {})
  return function* (x, schedule) {
    for (const [level, next] of schedule.steps()) {
      const first = yield { x, level }
      const r = next.sigma / level.sigma
      x = lincomb([r, first.x], [next.alpha - r * level.alpha, first.x0])
      const g = slopeGain(schedule.path, level, next)
      if (g === undefined) continue
      const second = yield { x, level: next, inner: true }
      x = lincomb([1, second.x], [g / 2, second.x0], [-g / 2, first.x0])
    }
    return x
  }
}

/**
 * The factor g between a change of D and the change of the step it causes; undefined where only Euler's step exists.
 *
 * With y the end of Euler's step the second slope is (y - D') / s' and the first (y - D) / s', both taken at s', so
 * their mean moves y by (s' - s) / 2 (D - D') / s' = (s / s' - 1) / 2 (D' - D). In s = sigma / alpha the latent is
 * x / alpha, hence another factor alpha'; at alpha = 0 that s is infinite and the step stays first order.
 */
function slopeGain(path: Path, level: Level, next: Level): number | undefined {
  if (next.sigma === 0) return undefined
  switch (path) {
    case 'flow':
      return level.sigma / next.sigma - 1
    case 'preserving':
    case 'exploding':
      if (level.alpha === 0) return undefined
      return next.alpha * ((level.sigma * next.alpha) / (level.alpha * next.sigma) - 1)
    default:
      return path satisfies never
  }
}
