/**
 * SDE-DPM-Solver++(2M): Lu, Zhou, Bao, Chen, Li, Zhu 2022, arXiv:2211.01095, eq. 18 and algorithm 5; eta as in
 * k-diffusion (`sample_dpmpp_2m_sde`).
 */

import { type DpmppSolverType, dpmppMultistep, SOLVER_TYPES } from './dpmppMultistep'
import { readOptions } from './options'
import type { Sampler } from './sampler'

/** Options of {@link dpmpp2mSde}. */
export interface Dpmpp2mSdeOptions {
  /** @defaultValue 'midpoint' */
  readonly solverType?: DpmppSolverType
  /** Share of fresh noise: 0 is {@link dpmpp2m}, 1 the reverse stochastic equation. @defaultValue 1 */
  readonly eta?: number
  /** Standard deviation of the fresh noise. @defaultValue 1 */
  readonly noiseScale?: number
  /** Take the last step at first order when there are fewer than 15. @defaultValue true */
  readonly lowerOrderFinal?: boolean
  /** Take the last step at first order always. @defaultValue false */
  readonly eulerAtFinal?: boolean
}

/**
 * SDE-DPM-Solver++(2M).
 *
 * The midpoint type is x' = sigma' / sigma e^(-eta h) x + c ((1 + k) x0 - k x0_previous) + sigma' sqrt(1 - e^(-2 eta h)) z,
 * c = alpha' (1 - e^(-(1 + eta) h)), k = h / (2 h_previous).
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function dpmpp2mSde(options: Dpmpp2mSdeOptions = {}): Sampler {
  const given = readOptions(
    'dpmpp2mSde',
    { ...options },
    {
      solverType: { default: 'midpoint', words: SOLVER_TYPES },
      eta: { default: 1, min: 0, max: 1e3 },
      noiseScale: { default: 1, min: 0, max: 1e3 },
      lowerOrderFinal: { default: true },
      eulerAtFinal: { default: false },
    },
  )
  return dpmppMultistep({ ...given, order: 2 })
}
