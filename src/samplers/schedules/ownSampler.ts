/** The sampler a diffusers config stands for, and the options it gives to whatever sampler is run. */

import type { SamplerName } from '../registry'
import { HOME_CLASS } from './classes'
import { isFlow, type SchedulerConfig, unsupported } from './config'

/** A sampler with options. */
export interface ConfiguredSampler {
  readonly name: SamplerName
  readonly options: Readonly<Record<string, unknown>>
}

/**
 * The config's own sampler with every setting it has.
 *
 * @throws {@link EngineError} `unsupported-model` for classes and settings that are not done here.
 */
export function ownSampler(config: SchedulerConfig): ConfiguredSampler {
  const { className } = config
  switch (className) {
    case 'DDIMScheduler':
      return { name: 'ddim', options: {} }
    case 'DDPMScheduler':
      return { name: 'ddpm', options: { variance: ddpmVariance(config) } }
    case 'PNDMScheduler':
      if (!config.boolean('skip_prk_steps', false)) {
        throw unsupported(config, 'skip_prk_steps = false (the Runge-Kutta start)', otherSampler('pndm'))
      }
      return { name: 'pndm', options: pndmOptions(config) }
    case 'EulerDiscreteScheduler':
    case 'EDMEulerScheduler':
      return { name: 'euler', options: {} }
    case 'FlowMatchEulerDiscreteScheduler':
      if (config.boolean('stochastic_sampling', false)) return { name: 'lcm', options: { boundary: false } }
      return { name: 'euler', options: {} }
    case 'FlowMatchLCMScheduler':
      if (config.has('scale_factors')) throw unsupported(config, 'scale_factors')
      return { name: 'lcm', options: { boundary: false } }
    case 'EulerAncestralDiscreteScheduler':
      return { name: 'eulerAncestral', options: {} }
    case 'HeunDiscreteScheduler':
    case 'FlowMatchHeunDiscreteScheduler':
      return { name: 'heun', options: {} }
    case 'LMSDiscreteScheduler':
      return { name: 'lms', options: {} }
    case 'KDPM2DiscreteScheduler':
      return { name: 'dpm2', options: {} }
    case 'KDPM2AncestralDiscreteScheduler':
      return { name: 'dpm2Ancestral', options: {} }
    case 'DPMSolverSDEScheduler':
      if (config.has('noise_sampler_seed')) throw unsupported(config, 'noise_sampler_seed (a request has its own seed)')
      return { name: 'dpmppSde', options: {} }
    case 'DPMSolverMultistepScheduler':
    case 'EDMDPMSolverMultistepScheduler':
      return dpmSolver(config)
    case 'DPMSolverSinglestepScheduler':
      return singlestep(config)
    case 'DEISMultistepScheduler':
      return { name: 'deis', options: deisOptions(config) }
    case 'UniPCMultistepScheduler':
      return { name: 'unipc', options: unipcOptions(config) }
    case 'LCMScheduler':
      return { name: 'lcm', options: { timestepScaling: config.number('timestep_scaling', 10, 0, 1e6) } }
    case 'TCDScheduler':
      return { name: 'tcd', options: {} }
    default:
      throw unsupported(config, 'this scheduler class')
  }
}

/** What another config than the sampler's own says about it: the settings that have the same name and sense there. */
export function borrowedOptions(config: SchedulerConfig, name: SamplerName): ConfiguredSampler['options'] {
  if (config.className === HOME_CLASS[name]) return homeOptions(config, name)
  switch (name) {
    case 'pndm':
      return pndmOptions(config)
    case 'lcm':
      if (isFlow(config)) return { boundary: false }
      return { timestepScaling: config.number('timestep_scaling', 10, 0, 1e6) }
    case 'dpmpp2m':
    case 'dpmpp3m':
    case 'dpmpp2mSde':
      return {
        lowerOrderFinal: config.boolean('lower_order_final', true),
        eulerAtFinal: config.boolean('euler_at_final', false),
      }
    case 'unipc':
    case 'deis':
      return { lowerOrderFinal: config.boolean('lower_order_final', true) }
    default:
      return {}
  }
}

/** Options of a sampler whose class the config is of, though perhaps set for another member of the family. */
function homeOptions(config: SchedulerConfig, name: SamplerName): ConfiguredSampler['options'] {
  switch (name) {
    case 'dpmpp2m':
    case 'dpmpp3m':
    case 'dpmpp2mSde':
    case 'dpmpp3mSde':
      return dpmOptions(config)
    case 'dpmpp2s':
      return singlestepOptions(config)
    case 'pndm':
      return pndmOptions(config)
    case 'eulerCfgpp':
    case 'eulerAncestralCfgpp':
      return {}
    default:
      return ownSampler(config).options
  }
}

const ALGORITHMS = ['dpmsolver++', 'dpmsolver', 'sde-dpmsolver', 'sde-dpmsolver++', 'deis'] as const

/** DPMSolverMultistepScheduler is a family of solvers; of first order it is DDIM. */
function dpmSolver(config: SchedulerConfig): ConfiguredSampler {
  const algorithm = config.word('algorithm_type', 'dpmsolver++', ALGORITHMS)
  if (algorithm === 'dpmsolver' || algorithm === 'sde-dpmsolver') {
    throw unsupported(config, `algorithm_type ${algorithm} (noise prediction)`, "give it 'dpmsolver++'")
  }
  if (config.has('variance_type')) throw unsupported(config, 'variance_type')
  const stochastic = algorithm === 'sde-dpmsolver++'
  const order = config.integer('solver_order', 2, 1, 3)
  if (order === 1) return { name: 'ddim', options: { eta: stochastic ? 1 : 0 } }
  const name = order === 2 ? (stochastic ? 'dpmpp2mSde' : 'dpmpp2m') : stochastic ? 'dpmpp3mSde' : 'dpmpp3m'
  return { name, options: dpmOptions(config) }
}

function dpmOptions(config: SchedulerConfig): ConfiguredSampler['options'] {
  return {
    solverType: solverType(config),
    lowerOrderFinal: config.boolean('lower_order_final', true),
    eulerAtFinal: config.boolean('euler_at_final', false),
  }
}

/** Words of other solvers mean the default. */
function solverType(config: SchedulerConfig): 'midpoint' | 'heun' {
  const type = config.word('solver_type', 'midpoint', ['midpoint', 'heun', 'logrho', 'bh1', 'bh2'])
  return type === 'heun' ? 'heun' : 'midpoint'
}

function singlestep(config: SchedulerConfig): ConfiguredSampler {
  const algorithm = config.word('algorithm_type', 'dpmsolver++', ALGORITHMS)
  if (algorithm !== 'dpmsolver++' && algorithm !== 'deis') throw unsupported(config, `algorithm_type ${algorithm}`)
  if (config.has('variance_type')) throw unsupported(config, 'variance_type')
  const order = config.integer('solver_order', 2, 1, 3)
  if (order === 1) return { name: 'ddim', options: {} }
  if (order === 3) throw unsupported(config, 'solver_order 3', otherSampler('dpmpp2s'))
  return { name: 'dpmpp2s', options: singlestepOptions(config) }
}

/** diffusers lowers the order of the last step whenever it ends in clean data, and by default otherwise does not. */
function singlestepOptions(config: SchedulerConfig): ConfiguredSampler['options'] {
  return { solverType: solverType(config), lowerOrderFinal: config.boolean('lower_order_final', false) }
}

function deisOptions(config: SchedulerConfig): ConfiguredSampler['options'] {
  return {
    order: config.integer('solver_order', 2, 1, 3),
    lowerOrderFinal: config.boolean('lower_order_final', true),
  }
}

function unipcOptions(config: SchedulerConfig): ConfiguredSampler['options'] {
  if (!config.boolean('predict_x0', true)) throw unsupported(config, 'predict_x0 = false')
  if (config.has('solver_p')) throw unsupported(config, 'solver_p')
  if ((config.numbers('disable_corrector') ?? []).length > 0) {
    throw unsupported(config, 'disable_corrector for some steps', 'give samplerOptions: { corrector: false } for all')
  }
  const type = config.word('solver_type', 'bh2', ['bh1', 'bh2', 'midpoint', 'heun', 'logrho'])
  return {
    order: config.integer('solver_order', 2, 1, 3),
    solverType: type === 'bh1' ? 'bh1' : 'bh2', // words of other solvers mean the default
    lowerOrderFinal: config.boolean('lower_order_final', true),
  }
}

function pndmOptions(config: SchedulerConfig): ConfiguredSampler['options'] {
  const prediction = config.word('prediction_type', 'epsilon', ['epsilon', 'v_prediction', 'sample', 'flow_prediction'])
  return { history: prediction === 'v_prediction' ? 'v' : 'slope' }
}

function ddpmVariance(config: SchedulerConfig): 'small' | 'large' {
  const types = [
    'fixed_small',
    'fixed_small_log',
    'fixed_large',
    'fixed_large_log',
    'learned',
    'learned_range',
  ] as const
  const type = config.word('variance_type', 'fixed_small', types)
  switch (type) {
    case 'fixed_small':
    case 'fixed_small_log':
      return 'small'
    case 'fixed_large':
      return 'large'
    case 'fixed_large_log': // diffusers takes the root of a negative number there
    case 'learned':
    case 'learned_range':
      throw unsupported(config, `variance_type ${type}`, otherSampler('ddim'))
    default:
      return type satisfies never
  }
}

function otherSampler(name: SamplerName): string {
  return `choose a sampler, for example '${name}'`
}
