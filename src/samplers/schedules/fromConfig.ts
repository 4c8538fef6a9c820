/** From a diffusers `scheduler_config.json` and a number of steps to a sampler, its schedule and the prediction type. */

import { invalidOption } from '../../text/givenOptions'
import type { Prediction } from '../prediction'
import { createSampler, findSampler, type SamplerName } from '../registry'
import type { Sampler } from '../sampler'
import { type Schedule, startAt } from '../schedule'
import { readSchedulerConfig, type SchedulerConfig, unsupported } from './config'
import { flowScheduleFromConfig } from './flowFromConfig'
import { preservingScheduleFromConfig } from './preservingFromConfig'
import { checkSamplingOptions, type SamplingOptions, SCHEDULE_NAMES, type ScheduleName } from './request'

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
}

/** The sampler each class of diffusers stands for. */
const CLASS_SAMPLERS: Readonly<Record<string, SamplerName>> = {
  DDIMScheduler: 'ddim',
  EulerDiscreteScheduler: 'euler',
  EulerAncestralDiscreteScheduler: 'eulerAncestral',
  HeunDiscreteScheduler: 'heun',
  DPMSolverMultistepScheduler: 'dpmpp2m',
  LCMScheduler: 'lcm',
  FlowMatchEulerDiscreteScheduler: 'euler',
  FlowMatchHeunDiscreteScheduler: 'heun',
}

/** Classes whose own solver is missing here, but whose settings serve every other solver. */
const SETTINGS_ONLY = [
  'PNDMScheduler',
  'DDPMScheduler',
  'LMSDiscreteScheduler',
  'KDPM2DiscreteScheduler',
  'KDPM2AncestralDiscreteScheduler',
  'DPMSolverSinglestepScheduler',
  'DPMSolverSDEScheduler',
  'DEISMultistepScheduler',
  'UniPCMultistepScheduler',
]

const ALGORITHMS = ['dpmsolver++', 'dpmsolver', 'sde-dpmsolver', 'sde-dpmsolver++'] as const
const SOLVER_TYPES = ['midpoint', 'heun', 'logrho', 'bh1', 'bh2'] as const // the last three mean midpoint

/**
 * Plans a run.
 *
 * Levels, timesteps and scales are those of the diffusers class named in the config, or of the class that belongs to the
 * sampler asked for. Where DDIM is spaced unevenly (T not a multiple of the steps) diffusers' own DDIM aims at t - T / n
 * instead of at the next timestep; here every step ends where the next begins.
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

  const own = ownSampler(settings)
  const found = options.sampler === undefined ? undefined : findSampler(options.sampler)
  const samplerName = found?.name ?? own
  if (samplerName === undefined) {
    throw unsupported(settings, "this solver (choose another one, for example sampler: 'ddim')")
  }
  const request = {
    sampler: samplerName,
    steps,
    strength,
    options,
    scheduleName: scheduleName(options, found?.schedule),
  }
  const flow = settings.className.startsWith('FlowMatch') || settings.boolean('use_flow_sigmas', false)
  const { schedule, prediction, initialScale, samplerOptions } = flow
    ? flowScheduleFromConfig(settings, request)
    : preservingScheduleFromConfig(settings, request)
  const first = schedule.levels[0]
  if (prediction.name === 'epsilon' && first?.alpha === 0) {
    throw unsupported(settings, 'epsilon prediction from pure noise (zero terminal SNR)')
  }

  return {
    samplerName,
    scheduleName: request.scheduleName,
    sampler: createSampler(samplerName, { ...samplerOptions, ...options.samplerOptions }),
    schedule: samplerName === 'lcm' && !flow ? schedule : startAt(schedule, startIndex(schedule, strength)),
    prediction,
    initialScale,
  }
}

function ownSampler(settings: SchedulerConfig): SamplerName | undefined {
  const { className } = settings
  if (SETTINGS_ONLY.includes(className)) return undefined
  const name = Object.hasOwn(CLASS_SAMPLERS, className) ? CLASS_SAMPLERS[className] : undefined
  if (name === undefined) throw unsupported(settings, 'this scheduler class')
  if (name === 'dpmpp2m') checkMultistep(settings)
  return name
}

/** DPMSolverMultistepScheduler is a family of solvers; the one here is the second-order one for data prediction. */
function checkMultistep(settings: SchedulerConfig): void {
  if (settings.integer('solver_order', 2, 1, 3) !== 2) throw unsupported(settings, 'a solver_order other than 2')
  const algorithm = settings.word('algorithm_type', 'dpmsolver++', ALGORITHMS)
  if (algorithm !== 'dpmsolver++') throw unsupported(settings, `algorithm_type ${algorithm}`)
  if (settings.word('solver_type', 'midpoint', SOLVER_TYPES) === 'heun') throw unsupported(settings, 'solver_type heun')
}

function scheduleName(options: SamplingOptions, fromSampler: ScheduleName | undefined): ScheduleName | undefined {
  if (options.schedule === undefined) return fromSampler
  const wanted = options.schedule.toLowerCase()
  const name = SCHEDULE_NAMES.find((candidate) => candidate === wanted)
  if (name === undefined) throw invalidOption('schedule', `one of ${SCHEDULE_NAMES.join(', ')}`, options.schedule)
  return name
}

/** Where diffusers' pipelines start from a picture; those for flow models round the other way. */
function startIndex({ path, levels }: Schedule, strength: number): number {
  const n = levels.length - 1
  const start = path === 'flow' ? Math.floor(n - n * strength) : n - Math.floor(n * strength)
  if (start >= n) throw invalidOption('strength', `at least one of ${n} steps to remain`, strength)
  return start
}
