/**
 * Training tables of variance-preserving models: how much noise each of the T trained timesteps has.
 *
 * Ho, Jain, Abbeel 2020, arXiv:2006.11239: beta_t; abar_t = product of (1 - beta); alpha = sqrt(abar),
 * sigma = sqrt(1 - abar). Values are rounded to float32 where PyTorch's are, because networks were trained with those.
 */

import { EngineError } from '../../errors'
import { type Level, preservingLevel } from '../level'
import type { Curve } from '../schedule'

/** How beta grows over the timesteps. */
export type BetaSchedule = (typeof BETA_SCHEDULES)[number]

/** Every {@link BetaSchedule}, by its name in diffusers. */
export const BETA_SCHEDULES = ['linear', 'scaled_linear', 'squaredcos_cap_v2', 'exp', 'laplace', 'sigmoid'] as const

/** What defines a table. */
export interface TrainingTableOptions {
  readonly schedule: BetaSchedule
  /** First beta; not used by `squaredcos_cap_v2`, `exp` and `laplace`. */
  readonly betaStart: number
  /** Last beta; not used by `squaredcos_cap_v2`, `exp` and `laplace`. */
  readonly betaEnd: number
  /** T. */
  readonly timesteps: number
  /** The betas themselves, instead of a schedule. */
  readonly betas?: readonly number[]
  /** Whether the last timestep is made pure noise, see {@link rescaleToZeroTerminalSnr}. */
  readonly zeroTerminalSnr: boolean
  /** abar of that last timestep, for solvers that cannot start at pure noise. @defaultValue 0 */
  readonly terminalAbar?: number
}

/** Noise by timestep. */
export interface TrainingTable extends Curve {
  /** T. */
  readonly timesteps: number
  /** abar_t for t = 0 to T - 1, falling. */
  readonly abar: Float64Array
  /** sigma / alpha at a timestep that may be fractional: linear between entries, as in diffusers. */
  ratioAt(t: number): number
  /** The timestep of a noise ratio: linear in its logarithm between entries, cut to 0 and T - 1. */
  timeOf(ratio: number): number
  /** The level of a timestep. */
  levelAt(t: number): Level
  /** The level of a timestep, linear in ln(sigma / alpha) between entries, as in k-diffusion: the inverse of `timeOf`. */
  logLevelAt(t: number): Level
}

const f32 = Math.fround

/** Builds a table. */
export function trainingTable(options: TrainingTableOptions): TrainingTable {
  let abar = cumulativeProduct(options.betas ?? betasOf(options))
  if (options.zeroTerminalSnr) {
    abar = rescaleToZeroTerminalSnr(abar)
    abar[abar.length - 1] = options.terminalAbar ?? 0
  }
  const last = abar.length - 1
  const ratios = abar.map((a) => f32(Math.sqrt(f32(f32(1 - a) / a)))) // [T], rising; the last may be infinite
  const logRatios = ratios.map((s) => f32(Math.log(s))) // [T]; diffusers compares with these float32 values
  const at = (values: Float64Array, index: number) => values[index] ?? Number.NaN

  function ratioAt(t: number): number {
    const low = Math.min(Math.max(Math.floor(t), 0), last)
    const weight = t - low
    const ratio = at(ratios, low)
    return weight <= 0 || low === last ? ratio : ratio + weight * (at(ratios, low + 1) - ratio)
  }

  function timeOf(ratio: number): number {
    const log = Math.log(ratio)
    if (log <= at(logRatios, 0)) return 0
    if (log >= at(logRatios, last)) return last
    let low = 0
    let high = last // logRatios[low] <= log < logRatios[high]
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (at(logRatios, middle) <= log) low = middle
      else high = middle
    }
    // Up to pure noise the logarithm has no end, so there alpha is interpolated instead.
    if (at(ratios, high) === Number.POSITIVE_INFINITY) return high - alphaOf(ratio) / alphaOf(at(ratios, low))
    return low + (log - at(logRatios, low)) / (at(logRatios, high) - at(logRatios, low))
  }

  return {
    timesteps: abar.length,
    abar,
    ratioAt,
    timeOf,
    levelAt: (t) => preservingLevel(ratioAt(t), t),
    logLevelAt(t) {
      const low = Math.min(Math.max(Math.floor(t), 0), last)
      const weight = t - low
      if (weight <= 0 || low === last) return preservingLevel(at(ratios, low), t)
      const [from, to] = [at(ratios, low), at(ratios, low + 1)]
      if (to === Number.POSITIVE_INFINITY) {
        const alpha = (1 - weight) * alphaOf(from)
        return { alpha, sigma: Math.sqrt(1 - alpha * alpha), t }
      }
      return preservingLevel(from ** (1 - weight) * to ** weight, t)
    },
    atShare(level, share) {
      if (level.sigma === 0) return level
      const t = Math.floor(f32(f32(share) * level.t)) // diffusers multiplies in float32
      const entry = at(abar, t)
      return { alpha: Math.sqrt(entry), sigma: Math.sqrt(f32(1 - entry)), t }
    },
    at(lambda) {
      const ratio = Math.exp(-lambda)
      const max = at(ratios, last)
      return ratio < max ? preservingLevel(ratio, timeOf(ratio)) : preservingLevel(max, last)
    },
  }
}

const alphaOf = (ratio: number) => preservingLevel(ratio, 0).alpha

/** abar = 1 at the end of a run: the clean level. */
export const CLEAN: Level = { alpha: 1, sigma: 0, t: 0 }

/** The level of an entry of a table, from abar itself. */
export function entryLevel(table: TrainingTable, t: number): Level {
  const abar = table.abar[t]
  if (abar === undefined) {
    throw new EngineError('invalid-option', `timestep: expected an integer from 0 to ${table.timesteps - 1}, got ${t}`)
  }
  return { alpha: Math.sqrt(abar), sigma: Math.sqrt(f32(1 - abar)), t }
}

function betasOf({ schedule, betaStart, betaEnd, timesteps }: TrainingTableOptions): readonly number[] {
  const indices = Array.from({ length: timesteps }, (_, i) => i)
  const between = (start: number, end: number, i: number) =>
    f32(start + ((end - start) * i) / Math.max(1, timesteps - 1))
  switch (schedule) {
    case 'linear':
      return indices.map((i) => between(betaStart, betaEnd, i))
    case 'scaled_linear':
      return indices.map((i) => f32(between(Math.sqrt(betaStart), Math.sqrt(betaEnd), i) ** 2))
    case 'squaredcos_cap_v2':
      // Nichol, Dhariwal 2021, arXiv:2102.09672, eq. 17.
      return betasOfCurve(timesteps, (u) => Math.cos((((u + 0.008) / 1.008) * Math.PI) / 2) ** 2)
    case 'exp':
      return betasOfCurve(timesteps, (u) => Math.exp(-12 * u))
    case 'laplace':
      // Hang, Gu, Bao, Wei, Chen, Geng, Guo 2024, arXiv:2407.03297: the log of the signal-to-noise ratio is Laplace's
      // quantile; the root and the 1e-6 are those of diffusers.
      return betasOfCurve(timesteps, (u) => {
        const snr = Math.exp(-0.5 * Math.sign(0.5 - u || 1) * Math.log(1 - 2 * Math.abs(0.5 - u) + 1e-6))
        return Math.sqrt(snr / (1 + snr))
      })
    case 'sigmoid':
      return indices.map((i) => f32(betaStart + (betaEnd - betaStart) / (1 + Math.exp(-between(-6, 6, i)))))
    default:
      return schedule satisfies never
  }
}

/** beta_i = 1 - abar((i + 1) / T) / abar(i / T), at most 0.999. */
function betasOfCurve(timesteps: number, abar: (u: number) => number): readonly number[] {
  return Array.from({ length: timesteps }, (_, i) =>
    f32(Math.min(1 - abar((i + 1) / timesteps) / abar(i / timesteps), 0.999)),
  )
}

function cumulativeProduct(betas: readonly number[]): Float64Array {
  let product = 1
  return Float64Array.from(betas, (beta) => {
    product *= f32(1 - f32(beta))
    return f32(product)
  })
}

/**
 * Shifts and scales sqrt(abar) so that it ends at 0 and its first entry stays: Lin, Liu, Li, Yang 2024,
 * arXiv:2305.08891, algorithm 1.
 */
function rescaleToZeroTerminalSnr(abar: Float64Array): Float64Array {
  const roots = abar.map((a) => f32(Math.sqrt(a)))
  const first = roots[0] ?? 1
  const last = roots[roots.length - 1] ?? 0
  const scale = f32(first / f32(first - last))
  const rescaled = roots.map((root) => f32(f32(f32(root - last) * scale) ** 2))
  const betas = Array.from(rescaled, (a, i) => f32(1 - f32(i === 0 ? a : a / (rescaled[i - 1] ?? 1))))
  return cumulativeProduct(betas)
}
