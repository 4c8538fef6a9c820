/** Schedules of flow models from diffusers settings. */

import { invalidOption } from '../../text/givenOptions'
import { PREDICTIONS } from '../prediction'
import type { ScheduleName } from '../scheduleNames'
import { HOME_CLASS } from './classes'
import { rejectSwitches, type SchedulerConfig, unsupported } from './config'
import { CURVES, type CurveName, isCurve } from './curves'
import {
  flowSchedule,
  multistepFlowSigmas,
  shiftFlow,
  stretchToTerminal,
  tableFlowSigmas,
  unipcFlowSigmas,
} from './flow'
import { type BuiltSchedule, rejectOptions, type SamplingOptions, type ScheduleRequest } from './request'
import { isTablePlacing, TABLE_PLACINGS, type TablePlacing } from './tablePlacings'

/** Longer runs are taken for mistakes. */
const MAX_STEPS = 10000

/** Builds the schedule of a flow model. */
export function flowScheduleFromConfig(config: SchedulerConfig, request: ScheduleRequest): BuiltSchedule {
  const { options, steps } = request
  if (steps > MAX_STEPS) throw invalidOption('steps', `at most ${MAX_STEPS}`, steps)
  rejectOptions(options, ['distilledSteps'], 'not a distilled timestep grid')
  rejectSwitches(config, ['invert_sigmas', 'thresholding'])
  const T = config.integer('num_train_timesteps', 1000, 1, 1e6)
  const through = placing(config, request)
  const matched = config.className.startsWith('FlowMatch')
  const sigmas = matched ? matchedSigmas(config, request, T, through) : multistepSigmas(config, request, T, through)
  return {
    // The multistep solvers tell whole timesteps where diffusers does; elsewhere there is nothing to agree with.
    schedule: flowSchedule(sigmas, T, !matched && through === undefined, matched ? 0 : lastSigma(config, sigmas)),
    prediction: PREDICTIONS.flow,
    initialScale: 1,
  }
}

/** What replaces the class' own placing: a curve on s itself, or places in the table of trained s. */
type Through = CurveName | TablePlacing

/** Placing of the FlowMatch classes. */
function matchedSigmas(
  config: SchedulerConfig,
  request: ScheduleRequest,
  T: number,
  through: Through | undefined,
): readonly number[] {
  const { options, steps } = request
  const { dynamic, k } = shiftOf(config, options, 'shift')
  if (isTablePlacing(through)) return tableSigmas(through, T, steps, k, dynamic ? 1 : k)
  const base = explicitSigmas(options, steps) ?? tableFlowSigmas(T, steps, dynamic ? 1 : k)
  const sigmas = terminated(
    config,
    base.map((s) => shiftFlow(s, k)),
  )
  const [max = 1, min = 1] = [sigmas[0], sigmas[sigmas.length - 1]]
  return through === undefined ? sigmas : CURVES[through](max, min, steps)
}

/** diffusers keeps UniPC's first level this far from pure noise, where lambda is infinite. */
const FROM_PURE_NOISE = 1e-6

/** Placing of the multistep solvers with `use_flow_sigmas`; a curve spans the T trained values of s, shifted. */
function multistepSigmas(
  config: SchedulerConfig,
  request: ScheduleRequest,
  T: number,
  through: Through | undefined,
): readonly number[] {
  const { options, steps } = request
  if (config.word('prediction_type', 'flow_prediction', PREDICTION_TYPES) !== 'flow_prediction') {
    throw unsupported(config, 'use_flow_sigmas with a prediction other than flow_prediction')
  }
  const unipc = config.className === HOME_CLASS.unipc
  if (!unipc) rejectOptions(options, ['sigmas'], 'the solver of this config places its own')
  const { k } = shiftOf(config, options, 'flow_shift')
  if (isTablePlacing(through)) return tableSigmas(through, T, steps, k, k)
  if (through !== undefined) return CURVES[through](shiftFlow(1 - 1 / T, k), shiftFlow(1 / T, k), steps)
  if (!unipc) return multistepFlowSigmas(T, steps, k)
  const base = explicitSigmas(options, steps) ?? unipcFlowSigmas(T, steps)
  const sigmas = terminated(
    config,
    base.map((s) => shiftFlow(s, k)),
  )
  return sigmas.map((s) => (Math.abs(s - 1) < FROM_PURE_NOISE ? s - FROM_PURE_NOISE : s))
}

const PREDICTION_TYPES = ['flow_prediction', 'epsilon', 'v_prediction', 'sample'] as const

/** s after the last step of a multistep solver: DEIS, and UniPC with `sigma_min`, end where they are. */
function lastSigma(config: SchedulerConfig, sigmas: readonly number[]): number {
  const last = sigmas[sigmas.length - 1] ?? 0
  if (config.className === HOME_CLASS.deis) return last
  if (config.word('final_sigmas_type', 'zero', ['zero', 'sigma_min']) === 'zero') return 0
  if (config.className === HOME_CLASS.unipc) return last
  throw unsupported(config, 'final_sigmas_type sigma_min with use_flow_sigmas')
}

/**
 * Places in the table of trained s = i / T, i = 1 ... T, shifted by k. `normal` and `sgmUniform` are spaced between the
 * ends of that table and shifted again, as in ComfyUI: the former is what the FlowMatch classes do anyway.
 */
function tableSigmas(placing: TablePlacing, T: number, n: number, k: number, tableShift: number): readonly number[] {
  switch (placing) {
    case 'normal':
      return tableFlowSigmas(T, n, tableShift).map((s) => shiftFlow(s, k))
    case 'sgmUniform':
      return tableFlowSigmas(T, n + 1, tableShift)
        .slice(0, n)
        .map((s) => shiftFlow(s, k))
    case 'simple':
    case 'beta':
    case 'ddimUniform':
      return TABLE_PLACINGS[placing](T, n).map((t) => shiftFlow((t + 1) / T, k))
    default:
      return placing satisfies never
  }
}

function terminated(config: SchedulerConfig, sigmas: readonly number[]): readonly number[] {
  const terminal = config.number('shift_terminal', 0, 0, 1)
  return terminal > 0 ? stretchToTerminal(sigmas, terminal) : sigmas
}

/** The factor of the shift, static (of that field) or dynamic. */
function shiftOf(
  config: SchedulerConfig,
  options: SamplingOptions,
  field: string,
): { readonly dynamic: boolean; readonly k: number } {
  const dynamic = config.boolean('use_dynamic_shifting', false)
  if (dynamic) rejectOptions(options, ['shift'], 'the model shifts dynamically: give mu or imageTokens')
  else rejectOptions(options, ['mu', 'imageTokens'], 'the model shifts statically: give shift')
  return { dynamic, k: dynamic ? dynamicFactor(config, options) : checkShift(options.shift ?? config.number(field, 1)) }
}

/**
 * The factor k of the dynamic shift: e^mu, or mu itself when the shift is linear in it.
 *
 * mu grows linearly with the number of image tokens, from `base_shift` at `base_image_seq_len` to `max_shift` at
 * `max_image_seq_len`.
 */
function dynamicFactor(config: SchedulerConfig, options: SamplingOptions): number {
  const linear = config.word('time_shift_type', 'exponential', ['exponential', 'linear']) === 'linear'
  const mu = options.mu ?? muOfTokens(config, options.imageTokens)
  if (options.mu !== undefined) rejectOptions(options, ['imageTokens'], 'mu is given')
  return checkShift(linear ? mu : Math.exp(mu))
}

function muOfTokens(config: SchedulerConfig, tokens: number | undefined): number {
  if (tokens === undefined) throw invalidOption('imageTokens', 'a number, or mu (the model shifts dynamically)', tokens)
  if (!(tokens > 0 && Number.isFinite(tokens))) throw invalidOption('imageTokens', 'a number above 0', tokens)
  const [low, high] = [config.number('base_shift', 0.5), config.number('max_shift', 1.15)]
  const [from, to] = [config.number('base_image_seq_len', 256), config.number('max_image_seq_len', 4096)]
  return low + ((tokens - from) / (to - from)) * (high - low)
}

function placing(config: SchedulerConfig, request: ScheduleRequest): Through | undefined {
  const named: ScheduleName | undefined = request.scheduleName
  if (isCurve(named) || isTablePlacing(named)) return named
  if (named !== undefined) {
    throw invalidOption('schedule', 'a curve or a placing of ComfyUI (a flow model has no spaced timesteps)', named)
  }
  const switches = [
    ['use_karras_sigmas', 'karras'],
    ['use_exponential_sigmas', 'exponential'],
    ['use_beta_sigmas', 'betaSigmas'],
  ] as const satisfies readonly (readonly [string, CurveName])[]
  const curve = switches.find(([field]) => config.boolean(field, false))?.[1]
  // With both switches diffusers takes its curve through the noise ratios of a training table that flow models lack.
  if (curve !== undefined && config.boolean('use_flow_sigmas', false)) {
    throw unsupported(config, 'a curve together with use_flow_sigmas')
  }
  return curve
}

function explicitSigmas({ sigmas }: SamplingOptions, steps: number): readonly number[] | undefined {
  if (sigmas === undefined) return undefined
  const falling = sigmas.every((s, i) => s > 0 && s <= (sigmas[i - 1] ?? 1))
  if (falling && sigmas.length === steps) return sigmas
  throw invalidOption('sigmas', `${steps} falling numbers above 0, at most 1`, `[${sigmas.join(', ')}]`)
}

function checkShift(k: number): number {
  if (k > 0 && Number.isFinite(k)) return k
  throw invalidOption('shift', 'a number above 0', k)
}
