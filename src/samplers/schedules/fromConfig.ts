/** From a diffusers `scheduler_config.json` and a number of steps to a sampler, its schedule and the prediction type. */

import { invalidOption } from '../../text/givenOptions'
import type { Prediction } from '../prediction'
import { createSampler, findSampler, type SamplerName, usesUncond } from '../registry'
import type { Sampler } from '../sampler'
import { type Schedule, startAt } from '../schedule'
import { findSchedule, type ScheduleName } from '../scheduleNames'
import { EXPLODING_CLASSES, FLOW_CLASSES, isPreservingClass } from './classes'
import { isFlow, readSchedulerConfig, type SchedulerConfig, unsupported } from './config'
import { edmScheduleFromConfig } from './edmFromConfig'
import { flowScheduleFromConfig } from './flowFromConfig'
import { borrowedOptions, ownSampler } from './ownSampler'
import { preservingScheduleFromConfig } from './preservingFromConfig'
import { type BuiltSchedule, checkSamplingOptions, type SamplingOptions, type ScheduleRequest } from './request'

/** Everything a run needs besides the network, the noise and the guidance. */
export interface SamplingPlan {
  readonly samplerName: SamplerName
  /** The schedule that was named, by itself or in the sampler's name; `undefined` is the model's own. */
  readonly scheduleName: ScheduleName | undefined
  readonly sampler: Sampler
  readonly schedule: Schedule
  readonly prediction: Prediction
  /** Standard deviation of the latent a run without a picture starts from. */
  readonly initialScale: number
  /** Whether the sampler needs the estimate without the prompt at every step, also where the guidance scale is 1. */
  readonly usesUncond: boolean
}

/**
 * Plans a run.
 *
 * Levels, timesteps and scales are those of the diffusers class named in the config, or of the class that belongs to the
 * sampler asked for. Where DDIM or PNDM is spaced unevenly (T not a multiple of the steps) diffusers' own aims at
 * t - T / n instead of at the next timestep; here every step ends where the next begins.
 *
 * @param config - a parsed `scheduler_config.json`, see {@link parseSchedulerConfig}.
 * @param steps - a whole number from 1.
 * @throws {@link EngineError} `invalid-config` when the config is malformed; `unsupported-model` when it asks for
 * something not done here; `unknown-sampler`; `invalid-option` or `unknown-option` when an option is wrong.
 */
export function scheduleFromConfig(config: unknown, steps: number, options: SamplingOptions = {}): SamplingPlan {
  checkSamplingOptions(options)
  const settings = readSchedulerConfig(config)
  if (!Number.isInteger(steps) || steps < 1) throw invalidOption('steps', 'a whole number from 1', steps)
  const strength = options.strength ?? 1
  if (!(strength > 0 && strength <= 1)) throw invalidOption('strength', 'a number above 0, at most 1', strength)

  if (!isPreservingClass(settings.className) && !OTHER_CLASSES.includes(settings.className)) {
    throw unsupported(settings, 'this scheduler class')
  }
  const found = options.sampler === undefined ? undefined : findSampler(options.sampler)
  const { name: samplerName, options: configured } = found
    ? { name: found.name, options: { ...borrowedOptions(settings, found.name), ...found.options } }
    : ownSampler(settings)
  const scheduleName = options.schedule === undefined ? found?.schedule : findSchedule(options.schedule)
  const request = { sampler: samplerName, own: found === undefined, steps, strength, options, scheduleName }
  const { schedule, prediction, initialScale } = build(settings, request)
  if (prediction.name === 'epsilon' && schedule.levels[0]?.alpha === 0) {
    throw unsupported(settings, 'epsilon prediction from pure noise (zero terminal SNR)')
  }

  const onGrid = (samplerName === 'lcm' || samplerName === 'tcd') && schedule.path === 'preserving'
  return {
    samplerName,
    scheduleName,
    sampler: createSampler(samplerName, { ...configured, ...options.samplerOptions }),
    schedule: onGrid ? schedule : startAt(schedule, startIndex(schedule, strength)), // the grid knows the strength
    prediction,
    initialScale,
    usesUncond: usesUncond(samplerName),
  }
}

const EXPLODING: readonly string[] = EXPLODING_CLASSES
const OTHER_CLASSES: readonly string[] = [...FLOW_CLASSES, ...EXPLODING_CLASSES]

function build(settings: SchedulerConfig, request: ScheduleRequest): BuiltSchedule {
  if (EXPLODING.includes(settings.className)) return edmScheduleFromConfig(settings, request)
  return isFlow(settings) ? flowScheduleFromConfig(settings, request) : preservingScheduleFromConfig(settings, request)
}

/** Where diffusers' pipelines start from a picture; those for flow models round the other way. */
function startIndex({ path, levels }: Schedule, strength: number): number {
  const n = levels.length - 1
  const start = path === 'flow' ? Math.floor(n - n * strength) : n - Math.floor(n * strength)
  if (start >= n) throw invalidOption('strength', `at least one of ${n} steps to remain`, strength)
  return start
}
