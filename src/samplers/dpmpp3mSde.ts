/**
 * DPM-Solver++(3M) for the reverse stochastic equation, as in Katherine Crowson's k-diffusion (`sample_dpmpp_3m_sde`);
 * its theory is that of Lu, Zhou, Bao, Chen, Li, Zhu 2022, arXiv:2211.01095.
 */

import { type DpmppSolverType, dpmppMultistep, SOLVER_TYPES } from './dpmppMultistep'
import { readOptions } from './options'
import type { Sampler } from './sampler'

/** Options of {@link dpmpp3mSde}; the defaults are those of k-diffusion. */
export interface Dpmpp3mSdeOptions {
  /** Of the steps that are of second order. @defaultValue 'heun' */
  readonly solverType?: DpmppSolverType
  /** Share of fresh noise: 0 is {@link dpmpp3m}, 1 the reverse stochastic equation. @defaultValue 1 */
  readonly eta?: number
  /** Standard deviation of the fresh noise. @defaultValue 1 */
  readonly noiseScale?: number
  /** Lower the order of the last two steps when there are fewer than 15. @defaultValue false */
  readonly lowerOrderFinal?: boolean
  /** Take the last step at first order always. @defaultValue false */
  readonly eulerAtFinal?: boolean
}

/**
 * DPM-Solver++(3M) SDE; the equation is that of `dpmppMultistep.ts`.
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function dpmpp3mSde(options: Dpmpp3mSdeOptions = {}): Sampler {
  const given = readOptions(
    'dpmpp3mSde',
    { ...options },
    {
      solverType: { default: 'heun', words: SOLVER_TYPES },
      eta: { default: 1, min: 0, max: 1e3 },
      noiseScale: { default: 1, min: 0, max: 1e3 },
      lowerOrderFinal: { default: false },
      eulerAtFinal: { default: false },
    },
  )
  return dpmppMultistep({ ...given, order: 3 })
}
