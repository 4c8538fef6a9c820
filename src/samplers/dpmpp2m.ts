/**
 * DPM-Solver++(2M): Lu, Zhou, Bao, Chen, Li, Zhu 2022, "DPM-Solver++: fast solver for guided sampling of diffusion
 * probabilistic models", arXiv:2211.01095, algorithm 2.
 */

import { type DpmppSolverType, dpmppMultistep, SOLVER_TYPES } from './dpmppMultistep'
import { readOptions } from './options'
import type { Sampler } from './sampler'

/** Options of {@link dpmpp2m}. */
export interface Dpmpp2mOptions {
  /** @defaultValue 'midpoint' */
  readonly solverType?: DpmppSolverType
  /** Take the last step at first order when there are fewer than 15. @defaultValue true */
  readonly lowerOrderFinal?: boolean
  /** Take the last step at first order always. @defaultValue false */
  readonly eulerAtFinal?: boolean
}

/**
 * DPM-Solver++(2M).
 *
 * The midpoint type is x' = sigma' / sigma x + c ((1 + k) x0 - k x0_previous), c = alpha' - alpha sigma' / sigma,
 * k = h / (2 h_previous), h = lambda' - lambda; first order is k = 0.
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function dpmpp2m(options: Dpmpp2mOptions = {}): Sampler {
  const given = readOptions(
    'dpmpp2m',
    { ...options },
    {
      solverType: { default: 'midpoint', words: SOLVER_TYPES },
      lowerOrderFinal: { default: true },
      eulerAtFinal: { default: false },
    },
  )
  return dpmppMultistep({ ...given, order: 2, eta: 0, noiseScale: 0 })
}
