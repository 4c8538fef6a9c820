/** What a caller may ask of a schedule, and what its builders answer. */

import { checkNames, invalidOption, numberOption, stringOption } from '../../text/givenOptions'
import type { Prediction } from '../prediction'
import type { SamplerName } from '../registry'
import type { Schedule } from '../schedule'
import type { ScheduleName } from '../scheduleNames'

export { SCHEDULE_NAMES, type ScheduleName } from '../scheduleNames'

/** Changes to what the config says. One without effect for the model at hand is an error. */
export interface SamplingOptions {
  /** Sampler, by any name it is known by. @defaultValue the config's */
  readonly sampler?: string
  /** Placing of the levels, by any name {@link findSchedule} knows. @defaultValue the sampler's name or the config's */
  readonly schedule?: string
  /** Options of the sampler, such as `eta`. */
  readonly samplerOptions?: Readonly<Record<string, unknown>>
  /** Share of the noise a run from a picture starts with, (0, 1]. @defaultValue 1 */
  readonly strength?: number
  /** Flow models: static shift. @defaultValue the config's */
  readonly shift?: number
  /** Flow models with dynamic shifting: mu. Give this or `imageTokens`. */
  readonly mu?: number
  /** Flow models with dynamic shifting: the number of image tokens, from which mu follows. */
  readonly imageTokens?: number
  /** Flow models: the shares of noise before shifting, falling, one per step. */
  readonly sigmas?: readonly number[]
  /** LCM: the number of timesteps it was distilled at. @defaultValue the config's, or 50 */
  readonly distilledSteps?: number
}

/** What the builders of schedules are asked for. */
export interface ScheduleRequest {
  readonly sampler: SamplerName
  /** Whether it is the config's own, whose class then places the levels. */
  readonly own: boolean
  readonly steps: number
  readonly strength: number
  readonly options: SamplingOptions
  readonly scheduleName: ScheduleName | undefined
}

/** What they answer. */
export interface BuiltSchedule {
  readonly schedule: Schedule
  readonly prediction: Prediction
  readonly initialScale: number
}

const NUMBERS = ['strength', 'shift', 'mu', 'imageTokens', 'distilledSteps'] as const
const OPTION_NAMES = ['sampler', 'schedule', 'samplerOptions', 'sigmas', ...NUMBERS] as const

/**
 * Checks names and types; what values mean is for the builders to check.
 *
 * @throws {@link EngineError} `unknown-option` or `invalid-option`.
 */
export function checkSamplingOptions(options: unknown): void {
  const given = checkNames('scheduleFromConfig', options, OPTION_NAMES satisfies readonly (keyof SamplingOptions)[])
  stringOption(given, 'sampler')
  stringOption(given, 'schedule')
  for (const option of NUMBERS) numberOption(given, option, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY)
  const { samplerOptions, sigmas } = given
  if (samplerOptions !== undefined && (typeof samplerOptions !== 'object' || samplerOptions === null)) {
    throw invalidOption('samplerOptions', 'an object of options', samplerOptions)
  }
  if (sigmas !== undefined && !(Array.isArray(sigmas) && sigmas.every((sigma) => typeof sigma === 'number'))) {
    throw invalidOption('sigmas', 'a list of numbers', sigmas)
  }
}

/** Throws `invalid-option` for options that do nothing for the model at hand. */
export function rejectOptions(options: SamplingOptions, names: readonly (keyof SamplingOptions)[], why: string): void {
  for (const option of names) {
    if (options[option] !== undefined) throw invalidOption(option, `nothing (${why})`, options[option])
  }
}
