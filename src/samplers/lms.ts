/**
 * Linear multistep: Adams and Bashforth's method for uneven steps, as in Katherine Crowson's k-diffusion (`sample_lms`).
 *
 * The slopes of the last steps are joined by a polynomial in s, in the coordinates of `straight.ts`, and it is integrated
 * exactly.
 */

import { type Latent, lincomb } from '../tensor/latent'
import { firstOrder } from './firstOrder'
import { readOptions } from './options'
import type { Sampler } from './sampler'
import { straightScale, straightSlope } from './straight'

/** Options of {@link lms}. */
export interface LmsOptions {
  /** How many slopes are joined, 1 to 4. @defaultValue 4 */
  readonly order?: number
}

/**
 * LMS.
 *
 * y = x / k, d = dy/ds; y' = y + sum over j of d_j times the integral from s to s' of
 * L_j(u) = product over i != j of (u - s_i) / (s_j - s_i).
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function lms(options: LmsOptions = {}): Sampler {
  const { order } = readOptions('lms', { ...options }, { order: { default: 4, min: 1, max: 4, whole: true } })
  return function* (x, schedule) {
    const past: { readonly s: number; readonly slope: Latent }[] = [] // newest first
    for (const [level, next] of schedule.steps()) {
      const reply = yield { x, level }
      const k = straightScale(schedule.path, level)
      if (k === 0) {
        x = firstOrder(reply, level, next) // from pure noise, where s is infinite
        continue
      }
      const kNext = straightScale(schedule.path, next)
      past.unshift({ s: level.sigma / k, slope: straightSlope(reply, k, level) })
      past.splice(order)
      const nodes = past.map(({ s }) => s)
      const weights = nodes.map((_, j) => lagrangeIntegral(nodes, j, level.sigma / k, next.sigma / kNext))
      x = lincomb([kNext / k, reply.x], ...past.map(({ slope }, j) => [kNext * (weights[j] ?? 0), slope] as const))
    }
    return x
  }
}

/** The integral of L_j; two Gauss points are exact up to the third power. */
function lagrangeIntegral(nodes: readonly number[], j: number, from: number, to: number): number {
  const own = nodes[j] ?? Number.NaN
  const value = (u: number) =>
    nodes.reduce((product, node, i) => (i === j ? product : (product * (u - node)) / (own - node)), 1)
  const half = (to - from) / 2
  const offset = half / Math.sqrt(3)
  return half * (value(from + half - offset) + value(from + half + offset))
}
