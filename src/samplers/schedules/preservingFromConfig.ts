/** Schedules of variance-preserving models from diffusers settings. */

import { invalidOption } from '../../text/givenOptions'
import { type Level, preservingLevel } from '../level'
import { PREDICTIONS, type Prediction } from '../prediction'
import { makeSchedule } from '../schedule'
import type { ScheduleName } from '../scheduleNames'
import { type AlignedModel, alignYourSteps, isAligned } from './alignYourSteps'
import { HOME_CLASS, isPreservingClass, PRESERVING_CLASSES, type PreservingClass, type SchedulerClass } from './classes'
import { rejectSwitches, type SchedulerConfig, unsupported } from './config'
import { CURVES, type CurveName, isCurve } from './curves'
import { lcmGrid } from './lcmGrid'
import { type BuiltSchedule, rejectOptions, type ScheduleRequest } from './request'
import { multistepTimesteps, roundHalfEven, SPACINGS, type Spacing, spacedTimesteps } from './spaced'
import { isTablePlacing, TABLE_PLACINGS, type TablePlacing } from './tablePlacings'
import { BETA_SCHEDULES, CLEAN, entryLevel, type TrainingTable, trainingTable } from './trainingTable'

/** Everything the levels depend on. */
interface Builder {
  readonly config: SchedulerConfig
  readonly request: ScheduleRequest
  /** The class that places: the config's, or the sampler's home when another sampler was asked for. */
  readonly className: PreservingClass
  readonly defaults: SchedulerClass
  readonly table: TrainingTable
  readonly placing: Placing
}

/** The spacing of the timesteps, and what replaces it, if anything. */
interface Placing {
  readonly spacing: Spacing
  readonly through: CurveName | TablePlacing | AlignedModel | undefined
}

/** Builds the schedule of a variance-preserving model. */
export function preservingScheduleFromConfig(config: SchedulerConfig, request: ScheduleRequest): BuiltSchedule {
  const { options, steps } = request
  const className = request.own && isPreservingClass(config.className) ? config.className : HOME_CLASS[request.sampler]
  const defaults: SchedulerClass = PRESERVING_CLASSES[className]
  const { placement } = defaults
  rejectOptions(options, ['shift', 'mu', 'imageTokens', 'sigmas'], 'not a flow model')
  if (placement !== 'distilled') rejectOptions(options, ['distilledSteps'], 'not a sampler of consistency models')
  rejectSwitches(config, ['thresholding'])
  if (config.boolean('clip_sample', CLIPPING_CLASSES.includes(config.className))) {
    throw unsupported(config, 'clip_sample = true')
  }
  const table = tableFromConfig(config, defaults, className)
  if (steps > table.timesteps) throw invalidOption('steps', `at most ${table.timesteps}`, steps)

  const placing = placingFromConfig(config, request, className)
  const builder = { config, request, className, defaults, table, placing }
  const levels = levelsFromConfig(builder)
  // sigma_max in terms of x / alpha; with leading spacing diffusers takes sqrt(sigma_max^2 + 1), which is 1 here.
  const scaled = placement === 'ratios' && placing.spacing !== 'leading' && !isTablePlacing(placing.through)
  return {
    schedule: makeSchedule('preserving', levels, table),
    prediction: predictionFromConfig(config),
    initialScale: scaled ? (levels[0]?.sigma ?? 1) : 1,
  }
}

/** Classes that clip x0 unless their config says otherwise. */
const CLIPPING_CLASSES: readonly string[] = ['DDIMScheduler', 'DDPMScheduler']

/** Solvers over sigma / alpha cannot start at infinity; diffusers gives the last timestep this abar instead of 0. */
const TERMINAL_ABAR = 2 ** -24

/** Those that can: their steps hold at alpha = 0. */
const FROM_PURE_NOISE: readonly string[] = [HOME_CLASS.ddim, HOME_CLASS.ddpm, HOME_CLASS.lcm, HOME_CLASS.tcd]

function tableFromConfig(config: SchedulerConfig, defaults: SchedulerClass, className: string): TrainingTable {
  const betas = config.numbers('trained_betas')
  return trainingTable({
    schedule: config.word('beta_schedule', defaults.betaSchedule, BETA_SCHEDULES),
    betaStart: config.number('beta_start', defaults.betaStart, 0, 1),
    betaEnd: config.number('beta_end', defaults.betaEnd, 0, 1),
    timesteps: config.integer('num_train_timesteps', 1000, 1, 1e6),
    ...(betas && { betas }),
    zeroTerminalSnr: config.boolean('rescale_betas_zero_snr', false),
    terminalAbar: FROM_PURE_NOISE.includes(className) ? 0 : TERMINAL_ABAR,
  })
}

function predictionFromConfig(config: SchedulerConfig): Prediction {
  const word = config.word('prediction_type', 'epsilon', ['epsilon', 'v_prediction', 'sample', 'original_sample'])
  switch (word) {
    case 'epsilon':
      return PREDICTIONS.epsilon
    case 'v_prediction':
      return PREDICTIONS.v
    case 'sample':
    case 'original_sample':
      return PREDICTIONS.x0
    default:
      return word satisfies never
  }
}

function placingFromConfig(config: SchedulerConfig, request: ScheduleRequest, className: PreservingClass): Placing {
  const { placement, spacing: usual }: SchedulerClass = PRESERVING_CLASSES[className]
  // Of all classes this one alone has no such setting.
  const single = className === 'DPMSolverSinglestepScheduler'
  const spacing = single ? 'linspace' : config.word('timestep_spacing', usual, SPACINGS)
  const named: ScheduleName | undefined = request.scheduleName
  if (named !== undefined) {
    if (placement === 'distilled') throw invalidOption('schedule', 'nothing (the model has its own)', named)
    if (isCurve(named) || isTablePlacing(named) || isAligned(named)) return { spacing, through: named }
    return { spacing: named, through: undefined }
  }
  const curved = placement === 'multistep' || (placement === 'ratios' && className !== HOME_CLASS.eulerAncestral)
  if (!curved) return { spacing, through: undefined }
  const switches: readonly (readonly [field: string, curve: CurveName])[] = [
    ['use_karras_sigmas', 'karras'],
    ...(className === HOME_CLASS.dpmpp2m ? ([['use_lu_lambdas', 'lambda']] as const) : []),
    ['use_exponential_sigmas', 'exponential'],
    ['use_beta_sigmas', 'betaSigmas'],
  ]
  return { spacing, through: switches.find(([field]) => config.boolean(field, false))?.[1] }
}

function levelsFromConfig(builder: Builder): readonly Level[] {
  const { config, request, className, defaults, table, placing } = builder
  const T = table.timesteps
  const { steps } = request
  const { spacing, through } = placing
  if (isTablePlacing(through)) return [...TABLE_PLACINGS[through](T, steps).map(table.logLevelAt), CLEAN]
  if (isAligned(through)) {
    return [...alignYourSteps(through, steps).map((ratio) => preservingLevel(ratio, table.timeOf(ratio))), CLEAN]
  }
  const offset = config.integer('steps_offset', 0, 0, T - 1)
  const entries = (timesteps: readonly number[]) => timesteps.map((t) => entryLevel(table, t))
  switch (defaults.placement) {
    case 'distilled': {
      const grid = lcmGrid(T, distilledSteps(builder), steps, request.strength)
      // TCD ends at the cleanest trained level, LCM in clean data.
      return [...entries(grid), className === 'TCDScheduler' ? entryLevel(table, 0) : CLEAN]
    }
    case 'entries': {
      const timesteps = spacedTimesteps(spacing, T, steps, offset, true)
      const levels = through ? alongCurve(builder, through, timesteps) : entries(timesteps)
      const clean = className === 'DDPMScheduler' || config.boolean('set_alpha_to_one', className !== 'PNDMScheduler')
      return [...levels, clean ? CLEAN : through ? table.levelAt(0) : entryLevel(table, 0)]
    }
    case 'ratios': {
      checkInterpolation(config)
      const timesteps = spacedTimesteps(spacing, T, steps, offset, false)
      const levels = through ? alongCurve(builder, through, timesteps) : timesteps.map(table.levelAt)
      const told = tellsLogarithm(config) ? levels.map((level) => ({ ...level, t: logarithm(level) })) : levels
      return [...told, className === 'EulerDiscreteScheduler' ? finalLevel(builder) : CLEAN]
    }
    case 'multistep': {
      const last = timestepsAbove(table, config.number('lambda_min_clipped', -Infinity, -Infinity, Infinity))
      const levels = through
        ? alongCurve(builder, through, [T - 1, 0]) // a curve spans the whole table
        : entries(multistepTimesteps(spacing, T, last, steps, offset))
      return [...levels, lastOfMultistep(builder, levels)]
    }
    default:
      return defaults.placement satisfies never
  }
}

function distilledSteps({ config, request, table }: Builder): number {
  const distilled = request.options.distilledSteps ?? config.integer('original_inference_steps', 50, 1, table.timesteps)
  if (Number.isInteger(distilled) && distilled >= 1 && distilled <= table.timesteps) return distilled
  throw invalidOption('distilledSteps', `a whole number from 1 to ${table.timesteps}`, distilled)
}

function checkInterpolation(config: SchedulerConfig): void {
  if (config.word('interpolation_type', 'linear', ['linear', 'log_linear']) !== 'linear') {
    throw unsupported(config, 'interpolation_type log_linear')
  }
}

/** Whether the network is told ln(sigma / alpha) / 4 instead of a timestep, as Stable Video Diffusion's is. */
function tellsLogarithm(config: SchedulerConfig): boolean {
  const continuous = config.word('timestep_type', 'discrete', ['discrete', 'continuous']) === 'continuous'
  return (
    continuous && config.word('prediction_type', 'epsilon', ['epsilon', 'v_prediction', 'sample']) === 'v_prediction'
  )
}

const logarithm = ({ alpha, sigma }: Level) => Math.log(sigma / alpha) / 4

/** n levels along a curve from the noise ratio of the first timestep to that of the last. */
function alongCurve(builder: Builder, curve: CurveName, timesteps: readonly number[]): Level[] {
  const { config, request, className, table } = builder
  const first = table.ratioAt(timesteps[0] ?? 0)
  const last = table.ratioAt(timesteps[timesteps.length - 1] ?? 0)
  const limited = className === 'EulerDiscreteScheduler' || className === 'UniPCMultistepScheduler'
  const max = limited ? config.number('sigma_max', first, 0) : first
  const min = limited ? config.number('sigma_min', last, 0) : last
  if (!Number.isFinite(max)) throw invalidOption('schedule', 'a spacing (the table ends in pure noise)', curve)
  const tell = told(builder, curve)
  return CURVES[curve](max, min, request.steps).map((ratio) => preservingLevel(ratio, tell(table.timeOf(ratio))))
}

/** Which timestep a network is told along a curve: some classes round, those with whole timesteps cut. */
function told({ config, className, defaults }: Builder, curve: CurveName): (t: number) => number {
  const rounds = curve === 'karras' || curve === 'lambda'
  switch (defaults.placement) {
    case 'multistep': {
      const cosine = config.word('beta_schedule', defaults.betaSchedule, BETA_SCHEDULES) === 'squaredcos_cap_v2'
      const cuts = cosine && className === 'DPMSolverMultistepScheduler'
      return rounds && !cuts ? roundHalfEven : Math.trunc
    }
    default: {
      const middle = className === 'KDPM2DiscreteScheduler' || className === 'KDPM2AncestralDiscreteScheduler'
      return rounds && middle ? roundHalfEven : (t) => t
    }
  }
}

/** The level of `final_sigmas_type`. */
function finalLevel({ config, table }: Builder): Level {
  return config.word('final_sigmas_type', 'zero', ['zero', 'sigma_min']) === 'zero' ? CLEAN : table.levelAt(0)
}

/** Some classes end where they are: DEIS, and UniPC with `sigma_min`, repeat the last level of a curve. */
function lastOfMultistep(builder: Builder, levels: readonly Level[]): Level {
  const { className, placing, table } = builder
  const repeated = placing.through === undefined ? table.levelAt(0) : (levels[levels.length - 1] ?? CLEAN)
  if (className === 'DEISMultistepScheduler') return repeated
  const final = finalLevel(builder)
  return className === 'UniPCMultistepScheduler' && final.sigma > 0 ? repeated : final
}

/** How many timesteps have at least that lambda. */
function timestepsAbove(table: TrainingTable, lambdaMin: number): number {
  return table.abar.filter((abar) => Math.log(abar / (1 - abar)) / 2 >= lambdaMin).length
}
