/** Schedules of flow models from diffusers settings. */

import { invalidOption } from '../../text/givenOptions'
import { PREDICTIONS } from '../prediction'
import { rejectSwitches, type SchedulerConfig, unsupported } from './config'
import { exponential } from './exponential'
import { flowSchedule, multistepFlowSigmas, shiftFlow, stretchToTerminal, tableFlowSigmas } from './flow'
import { karras } from './karras'
import { type BuiltSchedule, rejectOptions, type SamplingOptions, type ScheduleRequest } from './request'

/** Longer runs are taken for mistakes. */
const MAX_STEPS = 10000

/** Builds the schedule of a flow model. */
export function flowScheduleFromConfig(config: SchedulerConfig, request: ScheduleRequest): BuiltSchedule {
  const { options, steps, sampler } = request
  if (steps > MAX_STEPS) throw invalidOption('steps', `at most ${MAX_STEPS}`, steps)
  rejectOptions(options, ['distilledSteps'], 'not a distilled timestep grid')
  rejectSwitches(config, ['use_beta_sigmas', 'invert_sigmas', 'stochastic_sampling', 'thresholding'])
  const matched = config.className.startsWith('FlowMatch')
  if (!matched && config.word('prediction_type', 'flow_prediction', PREDICTION_TYPES) !== 'flow_prediction') {
    throw unsupported(config, 'use_flow_sigmas with a prediction other than flow_prediction')
  }
  const T = config.integer('num_train_timesteps', 1000, 1, 1e6)
  const curve = curveName(config, request)
  const sigmas = matched ? matchedSigmas(config, request, T, curve) : multistepSigmas(config, request, T, curve)
  return {
    // The multistep solvers tell whole timesteps where diffusers does; along a curve there is nothing to agree with.
    schedule: flowSchedule(sigmas, T, !matched && curve === undefined),
    prediction: PREDICTIONS.flow,
    initialScale: 1,
    samplerOptions: sampler === 'dpmpp2m' && !matched ? multistepOptions(config) : {},
  }
}

const PREDICTION_TYPES = ['flow_prediction', 'epsilon', 'v_prediction', 'sample'] as const

/** A curve on s itself, as FlowMatchEulerDiscreteScheduler applies it. */
type Curve = 'karras' | 'exponential'

/** Placing of FlowMatchEulerDiscreteScheduler and FlowMatchHeunDiscreteScheduler. */
function matchedSigmas(
  config: SchedulerConfig,
  request: ScheduleRequest,
  T: number,
  curve: Curve | undefined,
): readonly number[] {
  const { options, steps } = request
  const dynamic = config.boolean('use_dynamic_shifting', false)
  if (dynamic) rejectOptions(options, ['shift'], 'the model shifts dynamically: give mu or imageTokens')
  else rejectOptions(options, ['mu', 'imageTokens'], 'the model shifts statically: give shift')
  const k = checkShift(options.shift ?? config.number('shift', 1))
  const base = explicitSigmas(options, steps) ?? tableFlowSigmas(T, steps, dynamic ? 1 : k)
  const factor = dynamic ? dynamicFactor(config, options) : k
  let sigmas = base.map((s) => shiftFlow(s, factor))
  const terminal = config.number('shift_terminal', 0, 0, 1)
  if (terminal > 0) sigmas = stretchToTerminal(sigmas, terminal)

  const [max = 1, min = 1] = [sigmas[0], sigmas[sigmas.length - 1]]
  return curve === undefined ? sigmas : alongCurve(curve, max, min, steps)
}

/** Placing of the multistep solvers with `use_flow_sigmas`; a curve spans the T trained values of s, shifted. */
function multistepSigmas(
  config: SchedulerConfig,
  request: ScheduleRequest,
  T: number,
  curve: Curve | undefined,
): readonly number[] {
  const { options, steps } = request
  rejectOptions(options, ['sigmas'], 'the solver of this config places its own')
  const dynamic = config.boolean('use_dynamic_shifting', false)
  if (dynamic) rejectOptions(options, ['shift'], 'the model shifts dynamically: give mu or imageTokens')
  else rejectOptions(options, ['mu', 'imageTokens'], 'the model shifts statically: give shift')
  const k = dynamic ? dynamicFactor(config, options) : checkShift(options.shift ?? config.number('flow_shift', 1))
  if (curve === undefined) return multistepFlowSigmas(T, steps, k)
  return alongCurve(curve, shiftFlow(1 - 1 / T, k), shiftFlow(1 / T, k), steps)
}

function alongCurve(curve: Curve, max: number, min: number, steps: number): readonly number[] {
  return curve === 'karras' ? karras(max, min, steps) : exponential(max, min, steps)
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

function curveName(config: SchedulerConfig, request: ScheduleRequest): Curve | undefined {
  const named = request.scheduleName
  if (named === 'karras' || named === 'exponential') return named
  if (named !== undefined) {
    throw invalidOption('schedule', 'karras or exponential (this is a flow model: timesteps have no spacing)', named)
  }
  const karras = config.boolean('use_karras_sigmas', false)
  const switched = karras || config.boolean('use_exponential_sigmas', false)
  if (!switched) return undefined
  // With both switches diffusers takes its curve through the noise ratios of a training table that flow models lack.
  if (config.boolean('use_flow_sigmas', false)) throw unsupported(config, 'a curve together with use_flow_sigmas')
  return karras ? 'karras' : 'exponential'
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

function multistepOptions(config: SchedulerConfig): Readonly<Record<string, unknown>> {
  return {
    lowerOrderFinal: config.boolean('lower_order_final', true),
    eulerAtFinal: config.boolean('euler_at_final', false),
  }
}
