/** Schedules of variance-preserving models from diffusers settings. */

import { invalidOption } from '../../text/givenOptions'
import { type Level, preservingLevel } from '../level'
import { PREDICTIONS, type Prediction } from '../prediction'
import { makeSchedule } from '../schedule'
import { rejectSwitches, type SchedulerConfig, unsupported } from './config'
import { exponential } from './exponential'
import { karras } from './karras'
import { lcmGrid } from './lcmGrid'
import { type BuiltSchedule, rejectOptions, type ScheduleName, type ScheduleRequest } from './request'
import { multistepTimesteps, roundHalfEven, SPACINGS, type Spacing, spacedTimesteps } from './spaced'
import { CLEAN, entryLevel, type TrainingTable, trainingTable } from './trainingTable'

/** What a class of diffusers takes when its config leaves a field out. */
interface ClassDefaults {
  readonly betaStart: number
  readonly betaEnd: number
  readonly betaSchedule: 'linear' | 'scaled_linear'
  readonly spacing: Spacing
}

const LINEAR = { betaStart: 0.0001, betaEnd: 0.02, betaSchedule: 'linear' } as const

const DEFAULTS: Readonly<Record<ScheduleRequest['sampler'], ClassDefaults>> = {
  euler: { ...LINEAR, spacing: 'linspace' },
  eulerAncestral: { ...LINEAR, spacing: 'linspace' },
  heun: { betaStart: 0.00085, betaEnd: 0.012, betaSchedule: 'linear', spacing: 'linspace' },
  ddim: { ...LINEAR, spacing: 'leading' },
  dpmpp2m: { ...LINEAR, spacing: 'linspace' },
  lcm: { betaStart: 0.00085, betaEnd: 0.012, betaSchedule: 'scaled_linear', spacing: 'leading' },
}

/** Solvers over sigma / alpha cannot start at infinity; diffusers gives the last timestep this abar instead of 0. */
const TERMINAL_ABAR = 2 ** -24

/** Builds the schedule of a variance-preserving model. */
export function preservingScheduleFromConfig(config: SchedulerConfig, request: ScheduleRequest): BuiltSchedule {
  const { options, sampler, steps } = request
  rejectOptions(options, ['shift', 'mu', 'imageTokens', 'sigmas'], 'not a flow model')
  if (sampler !== 'lcm') rejectOptions(options, ['distilledSteps'], 'not the LCM sampler')
  rejectSwitches(config, ['thresholding'])
  if (config.boolean('clip_sample', config.className === 'DDIMScheduler'))
    throw unsupported(config, 'clip_sample = true')
  const table = tableFromConfig(config, sampler)
  if (steps > table.timesteps) throw invalidOption('steps', `at most ${table.timesteps}`, steps)

  const place = placing(config, request)
  const levels = levelsFromConfig(config, request, table, place)
  const overRatio = sampler === 'euler' || sampler === 'eulerAncestral' || sampler === 'heun'
  return {
    schedule: makeSchedule('preserving', levels, table.at),
    prediction: predictionFromConfig(config),
    // sigma_max in terms of x / alpha; with leading spacing diffusers takes sqrt(sigma_max^2 + 1), which is 1 here.
    initialScale: overRatio && place.spacing !== 'leading' ? (levels[0]?.sigma ?? 1) : 1,
    samplerOptions: samplerOptions(config, sampler),
  }
}

function tableFromConfig(config: SchedulerConfig, sampler: ScheduleRequest['sampler']): TrainingTable {
  const defaults = DEFAULTS[sampler]
  const betas = config.numbers('trained_betas')
  return trainingTable({
    schedule: config.word('beta_schedule', defaults.betaSchedule, ['linear', 'scaled_linear', 'squaredcos_cap_v2']),
    betaStart: config.number('beta_start', defaults.betaStart, 0, 1),
    betaEnd: config.number('beta_end', defaults.betaEnd, 0, 1),
    timesteps: config.integer('num_train_timesteps', 1000, 1, 1e6),
    ...(betas && { betas }),
    zeroTerminalSnr: config.boolean('rescale_betas_zero_snr', false),
    terminalAbar: sampler === 'ddim' || sampler === 'lcm' ? 0 : TERMINAL_ABAR,
  })
}

function predictionFromConfig(config: SchedulerConfig): Prediction {
  const word = config.word('prediction_type', 'epsilon', ['epsilon', 'v_prediction', 'sample'])
  switch (word) {
    case 'epsilon':
      return PREDICTIONS.epsilon
    case 'v_prediction':
      return PREDICTIONS.v
    case 'sample':
      return PREDICTIONS.x0
    default:
      return word satisfies never
  }
}

/** The spacing of the timesteps and the curve through their noise ratios, if any. */
interface Placing {
  readonly spacing: Spacing
  readonly curve: 'karras' | 'exponential' | 'lambda' | undefined
}

function placing(config: SchedulerConfig, request: ScheduleRequest): Placing {
  const spacing = config.word('timestep_spacing', DEFAULTS[request.sampler].spacing, SPACINGS)
  const named: ScheduleName | undefined = request.scheduleName
  if (named === 'karras' || named === 'exponential') return { spacing, curve: named }
  if (named !== undefined) return { spacing: named, curve: undefined }
  rejectSwitches(config, ['use_beta_sigmas'])
  const { sampler } = request
  if (sampler === 'eulerAncestral' || sampler === 'ddim' || sampler === 'lcm') return { spacing, curve: undefined }
  if (config.boolean('use_karras_sigmas', false)) return { spacing, curve: 'karras' }
  if (sampler === 'dpmpp2m' && config.boolean('use_lu_lambdas', false)) return { spacing, curve: 'lambda' }
  return { spacing, curve: config.boolean('use_exponential_sigmas', false) ? 'exponential' : undefined }
}

function levelsFromConfig(
  config: SchedulerConfig,
  request: ScheduleRequest,
  table: TrainingTable,
  { spacing, curve }: Placing,
): readonly Level[] {
  const { sampler, steps, options, strength } = request
  const offset = config.integer('steps_offset', 0, 0, table.timesteps - 1)
  const entries = (timesteps: readonly number[]) => timesteps.map((t) => entryLevel(table, t))

  switch (sampler) {
    case 'lcm': {
      if (request.scheduleName !== undefined) throw invalidOption('schedule', 'nothing (LCM has its own)', spacing)
      const distilled = options.distilledSteps ?? config.integer('original_inference_steps', 50, 1, table.timesteps)
      if (!Number.isInteger(distilled) || distilled < 1 || distilled > table.timesteps) {
        throw invalidOption('distilledSteps', `a whole number from 1 to ${table.timesteps}`, distilled)
      }
      return [...entries(lcmGrid(table.timesteps, distilled, steps, strength)), CLEAN]
    }
    case 'ddim': {
      const timesteps = spacedTimesteps(spacing, table.timesteps, steps, offset, true)
      const final = config.boolean('set_alpha_to_one', true) ? CLEAN : entryLevel(table, 0)
      return [...(curve ? alongCurve(table, timesteps, steps, curve, (t) => t) : entries(timesteps)), final]
    }
    case 'euler':
    case 'eulerAncestral':
    case 'heun': {
      if (config.word('interpolation_type', 'linear', ['linear', 'log_linear']) !== 'linear') {
        throw unsupported(config, 'interpolation_type log_linear')
      }
      if (config.word('timestep_type', 'discrete', ['discrete', 'continuous']) !== 'discrete') {
        throw unsupported(config, 'timestep_type continuous')
      }
      const timesteps = spacedTimesteps(spacing, table.timesteps, steps, offset, false)
      const final = sampler === 'euler' ? finalLevel(config, table) : CLEAN
      const levels = curve ? alongCurve(table, timesteps, steps, curve, (t) => t, config) : timesteps.map(table.levelAt)
      return [...levels, final]
    }
    case 'dpmpp2m': {
      const last = timestepsAbove(table, config.number('lambda_min_clipped', -Infinity, -Infinity, Infinity))
      const timesteps = curve
        ? [table.timesteps - 1, 0] // a curve spans the whole table
        : multistepTimesteps(spacing, table.timesteps, last, steps, offset)
      // Timesteps are told whole: rounded, but cut for the exponential curve and the cosine table.
      const cosine =
        config.word('beta_schedule', 'linear', ['linear', 'scaled_linear', 'squaredcos_cap_v2']) === 'squaredcos_cap_v2'
      const whole = curve === 'exponential' || cosine ? Math.trunc : roundHalfEven
      const levels = curve ? alongCurve(table, timesteps, steps, curve, whole) : entries(timesteps)
      return [...levels, finalLevel(config, table)]
    }
    default:
      return sampler satisfies never
  }
}

/** n levels along a curve from the noise ratio of the first timestep to that of the last. */
function alongCurve(
  table: TrainingTable,
  timesteps: readonly number[],
  n: number,
  curve: 'karras' | 'exponential' | 'lambda',
  tell: (t: number) => number,
  limits?: SchedulerConfig,
): Level[] {
  const first = table.ratioAt(timesteps[0] ?? 0)
  const last = table.ratioAt(timesteps[timesteps.length - 1] ?? 0)
  const max = limits?.number('sigma_max', first, 0) ?? first
  const min = limits?.number('sigma_min', last, 0) ?? last
  if (!Number.isFinite(max)) throw invalidOption('schedule', 'a spacing (the table ends in pure noise)', curve)
  const ratios = curve === 'karras' ? karras(max, min, n) : exponential(max, min, n) // uniform lambda is exponential
  return ratios.map((ratio) => preservingLevel(ratio, tell(table.timeOf(ratio))))
}

function finalLevel(config: SchedulerConfig, table: TrainingTable): Level {
  return config.word('final_sigmas_type', 'zero', ['zero', 'sigma_min']) === 'zero' ? CLEAN : table.levelAt(0)
}

/** How many timesteps have at least that lambda. */
function timestepsAbove(table: TrainingTable, lambdaMin: number): number {
  return table.abar.filter((abar) => Math.log(abar / (1 - abar)) / 2 >= lambdaMin).length
}

function samplerOptions(
  config: SchedulerConfig,
  sampler: ScheduleRequest['sampler'],
): Readonly<Record<string, unknown>> {
  switch (sampler) {
    case 'dpmpp2m':
      return {
        lowerOrderFinal: config.boolean('lower_order_final', true),
        eulerAtFinal: config.boolean('euler_at_final', false),
      }
    case 'lcm':
      return { timestepScaling: config.number('timestep_scaling', 10, 0, 1e6) }
    default:
      return {}
  }
}
