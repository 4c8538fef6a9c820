/**
 * DPM-Solver++(3M): Lu, Zhou, Bao, Chen, Li, Zhu 2022, arXiv:2211.01095, third order as in the authors' code.
 */

import { type DpmppSolverType, dpmppMultistep, SOLVER_TYPES } from './dpmppMultistep'
import { readOptions } from './options'
import type { Sampler } from './sampler'

/** Options of {@link dpmpp3m}. */
export interface Dpmpp3mOptions {
  /** Of the steps that are of second order. @defaultValue 'midpoint' */
  readonly solverType?: DpmppSolverType
  /** Lower the order of the last two steps when there are fewer than 15. @defaultValue true */
  readonly lowerOrderFinal?: boolean
  /** Take the last step at first order always. @defaultValue false */
  readonly eulerAtFinal?: boolean
}

/**
 * DPM-Solver++(3M); the equation is that of `dpmppMultistep.ts` with eta = 0.
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function dpmpp3m(options: Dpmpp3mOptions = {}): Sampler {
  const given = readOptions(
    'dpmpp3m',
    { ...options },
    {
      solverType: { default: 'midpoint', words: SOLVER_TYPES },
      lowerOrderFinal: { default: true },
      eulerAtFinal: { default: false },
    },
  )
  return dpmppMultistep({ ...given, order: 3, eta: 0, noiseScale: 0 })
}
