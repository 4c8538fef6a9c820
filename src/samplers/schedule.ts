/** Schedules: the levels a sampler goes through, and the levels between them. */

import { EngineError } from '../errors'
import { type Level, lambda } from './level'

/**
 * The curve the levels lie on.
 *
 * `preserving`: alpha^2 + sigma^2 = 1. `exploding`: alpha = 1. `flow`: alpha + sigma = 1. A solver that averages slopes
 * (Heun) averages them in sigma / alpha on the first two, in sigma on the third, as the literatures do.
 */
export type Path = 'preserving' | 'exploding' | 'flow'

/** The levels between the levels, for samplers that evaluate there. */
export interface Curve {
  /**
   * The level with that {@link lambda}, continuous, its `t` between those of the training table.
   *
   * Where there is a training table, noise above its noisiest entry is cut to that entry.
   */
  at(lambda: number): Level
  /**
   * The level at a share of a level's time, clean data being time 0: an entry of the training table, the share of a
   * flow level's noise, or of a variance-exploding level's sigma. Clean data stays what it is.
   *
   * @param share - 0 to 1.
   */
  atShare(level: Level, share: number): Level
}

/** The levels of one run. Data only: the same schedule serves any number of requests. */
export interface Schedule extends Curve {
  readonly path: Path
  /** n + 1 levels for n steps, noise falling; the sigma of the last may be 0. */
  readonly levels: readonly Level[]
  /** Index of the level the run starts at; more than 0 when it starts from a picture. */
  readonly first: number
  /** The steps from `first` on, as pairs of neighbouring levels. */
  steps(): readonly (readonly [level: Level, next: Level])[]
}

/** How much lambda may fall through rounding alone between levels that are meant to be equal. */
const ROUNDING = 1e-9

/**
 * Makes a schedule.
 *
 * @param path - the curve.
 * @param levels - at least two, lambda never falling; only the last may be without noise.
 * @param curve - levels in between.
 * @throws {@link EngineError} `invalid-option` when a level is not finite, holds nothing or lambda falls.
 */
export function makeSchedule(path: Path, levels: readonly Level[], curve: Curve): Schedule {
  if (levels.length < 2) throw invalid(`expected at least 2 levels, got ${levels.length}`)
  levels.forEach((level, index) => {
    const { alpha, sigma, t } = level
    if (![alpha, sigma, t].every(Number.isFinite) || alpha < 0 || sigma < 0 || alpha + sigma === 0) {
      const expected = 'alpha and sigma from 0, not both 0, and a finite t'
      throw invalid(`level ${index}: expected ${expected}, got ${show(level)}`)
    }
    if (sigma === 0 && index < levels.length - 1) {
      throw invalid(`level ${index}: expected noise before the last level, got ${show(level)}`)
    }
    const previous = levels[index - 1]
    if (previous !== undefined && lambda(level) < lambda(previous) - ROUNDING) {
      throw invalid(`level ${index}: expected no more noise than before, got ${show(previous)}, then ${show(level)}`)
    }
  })
  return fromIndex(path, levels, curve, 0)
}

/**
 * The same schedule started later, for runs that begin with a noised picture.
 *
 * @param index - of the level to start at.
 * @throws {@link EngineError} `invalid-option` when no step would be left.
 */
export function startAt(schedule: Schedule, index: number): Schedule {
  if (!Number.isInteger(index) || index < 0 || index > schedule.levels.length - 2) {
    throw invalid(`start: expected an integer from 0 to ${schedule.levels.length - 2}, got ${index}`)
  }
  return fromIndex(schedule.path, schedule.levels, schedule, index)
}

function fromIndex(path: Path, levels: readonly Level[], { at, atShare }: Curve, first: number): Schedule {
  const pairs = levels.slice(first, -1).map((level, i) => [level, levels[first + i + 1] ?? level] as const)
  return { path, levels, first, steps: () => pairs, at, atShare }
}

/** Levels in messages; JSON would hide NaN and infinities. */
function show({ alpha, sigma, t }: Level): string {
  return `{ alpha: ${alpha}, sigma: ${sigma}, t: ${t} }`
}

function invalid(message: string): EngineError {
  return new EngineError('invalid-option', `schedule: ${message}`, { option: 'schedule' })
}
