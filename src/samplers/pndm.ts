/**
 * Pseudo linear multistep: Liu, Ren, Lin, Zhao 2022, "Pseudo numerical methods for diffusion models on manifolds",
 * arXiv:2202.09778, eqs. 11 and 12, without its Runge-Kutta start (`skip_prk_steps` in diffusers, PLMS elsewhere).
 *
 * What differs: the first step is Heun's, as in Stable Diffusion's code, so n steps take n + 1 evaluations. The transfer
 * of eq. 11 is Euler's in the coordinates of `straight.ts`; on flow levels the slopes are velocities instead of noise.
 */

import { type Latent, lincomb } from '../tensor/latent'
import { firstOrder } from './firstOrder'
import type { Level } from './level'
import { readOptions } from './options'
import type { Sampler, SamplerReply } from './sampler'
import { straightScale, straightSlope } from './straight'

/** Options of {@link pndm}. */
export interface PndmOptions {
  /**
   * What is extrapolated: the slopes, or v = alpha noise - sigma x0, which is what diffusers does with networks that
   * predict v (on variance-preserving levels only).
   * @defaultValue 'slope'
   */
  readonly history?: 'slope' | 'v'
}

/** Adams and Bashforth's weights for equal steps, newest first, by the number of slopes there are. */
const WEIGHTS = [
  [1],
  [3 / 2, -1 / 2],
  [23 / 12, -16 / 12, 5 / 12],
  [55 / 24, -59 / 24, 37 / 24, -9 / 24],
] as const satisfies readonly (readonly number[])[]

/**
 * PNDM.
 *
 * y = x / k; y' = y + (s' - s) e, e = (55 d - 59 d_1 + 37 d_2 - 9 d_3) / 24, fewer at first; the first step uses the mean
 * of its two ends.
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function pndm(options: PndmOptions = {}): Sampler {
  const { history } = readOptions('pndm', { ...options }, { history: { default: 'slope', words: ['slope', 'v'] } })
  /** noise = alpha v + sigma x, so a combination of v moves x a little as well. */
  const ofV = history === 'v'
  const output = (reply: SamplerReply, k: number, level: Level) =>
    ofV ? lincomb([k / level.sigma, reply.x], [-1 / level.sigma, reply.x0]) : straightSlope(reply, k, level)

  return function* (x, schedule) {
    const past: Latent[] = [] // newest first
    const steps = schedule.steps()
    for (const [index, [level, next]] of steps.entries()) {
      const reply = yield { x, level }
      const k = straightScale(schedule.path, level)
      if (k === 0) {
        x = firstOrder(reply, level, next) // from pure noise, where s is infinite
        continue
      }
      const kNext = straightScale(schedule.path, next)
      const moved = kNext * (next.sigma / kNext - level.sigma / k) // k' (s' - s)
      const gain = moved * (ofV ? level.alpha : 1)
      past.unshift(output(reply, k, level))
      past.splice(WEIGHTS.length)
      const weights: readonly number[] = WEIGHTS[past.length - 1] ?? []
      const terms = past.map((latent, j) => [gain * (weights[j] ?? 0), latent] as const)
      x = lincomb([kNext / k + (ofV ? moved * level.sigma : 0), reply.x], ...terms)

      const [first] = past
      if (past.length > 1 || first === undefined || index === steps.length - 1) continue
      const end = yield { x, level: next, inner: true }
      x = lincomb([1, end.x], [gain / 2, output(end, kNext, next)], [-gain / 2, first])
    }
    return x
  }
}
