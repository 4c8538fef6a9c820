/** Samplers by name, and the checking of their options. */

import { describe, expect, test } from 'vitest'
import { createSampler, findSampler, SAMPLER_NAMES, type SamplerName, usesUncond } from '../../../src/samplers/registry'
import { findSchedule, type ScheduleName } from '../../../src/samplers/scheduleNames'
import { traceSampler } from '../../../src/samplers/trace'
import { evenFlow } from './gaussian'

/** What diffusers, A1111 and ComfyUI call each sampler. */
const NAMES: Readonly<Record<SamplerName, readonly string[]>> = {
  euler: [
    'Euler',
    'k_euler',
    'sample_euler',
    'EulerDiscreteScheduler',
    'FlowMatchEulerDiscreteScheduler',
    'EDMEulerScheduler',
  ],
  eulerAncestral: ['Euler a', 'euler_ancestral', 'k_euler_ancestral', 'k_euler_a', 'EulerAncestralDiscreteScheduler'],
  eulerCfgpp: ['euler_cfg_pp', 'DDIM CFG++', 'Euler CFG++'],
  eulerAncestralCfgpp: ['euler_ancestral_cfg_pp', 'Euler a CFG++'],
  heun: ['Heun', 'k_heun', 'edm', 'HeunDiscreteScheduler', 'FlowMatchHeunDiscreteScheduler'],
  dpm2: ['DPM2', 'dpm_2', 'k_dpm_2', 'sample_dpm_2', 'KDPM2DiscreteScheduler'],
  dpm2Ancestral: ['DPM2 a', 'dpm_2_ancestral', 'k_dpm_2_a', 'KDPM2AncestralDiscreteScheduler'],
  lms: ['LMS', 'k_lms', 'LMSDiscreteScheduler'],
  ddim: ['DDIM', 'DDIMScheduler'],
  ddpm: ['ddpm', 'DDPMScheduler'],
  pndm: ['PNDM', 'PLMS', 'PNDMScheduler'],
  dpmpp2m: [
    'DPM++ 2M',
    'dpmpp_2m',
    'k_dpmpp_2m',
    'DPM-Solver++',
    'DPMSolverMultistepScheduler',
    'EDMDPMSolverMultistepScheduler',
  ],
  dpmpp2mSde: ['DPM++ 2M SDE', 'dpmpp_2m_sde', 'dpmpp_2m_sde_gpu', 'sde-dpmsolver++'],
  dpmpp3m: ['DPM++ 3M', 'dpmpp_3m'],
  dpmpp3mSde: ['DPM++ 3M SDE', 'dpmpp_3m_sde', 'dpmpp_3m_sde_gpu'],
  dpmpp2s: ['DPM++ 2S', 'dpmpp_2s', 'DPMSolverSinglestepScheduler'],
  dpmppSde: ['DPM++ SDE', 'dpmpp_sde', 'dpmpp_sde_gpu', 'k_dpmpp_sde', 'DPMSolverSDEScheduler'],
  unipc: ['UniPC', 'uni_pc', 'UniPCMultistepScheduler'],
  deis: ['DEIS', 'DEISMultistepScheduler'],
  lcm: ['LCM', 'LCMScheduler', 'FlowMatchLCMScheduler'],
  tcd: ['TCD', 'TCDScheduler'],
}

describe('findSampler', () => {
  test.each(SAMPLER_NAMES.flatMap((want) => [want, ...NAMES[want]].map((name): [string, SamplerName] => [name, want])))(
    '%s is %s',
    (name, want) => {
      expect(findSampler(name)).toEqual({ name: want })
      expect(findSampler(name.toUpperCase())).toEqual({ name: want })
    },
  )

  test('names imply options', () => {
    expect(findSampler('DPM++ 2M SDE Heun')).toEqual({ name: 'dpmpp2mSde', options: { solverType: 'heun' } })
    expect(findSampler('dpmpp_2m_sde_heun_gpu')).toEqual({ name: 'dpmpp2mSde', options: { solverType: 'heun' } })
    expect(findSampler('uni_pc_bh2')).toEqual({ name: 'unipc', options: { solverType: 'bh2' } })
    expect(traceSampler(createSampler('uni_pc_bh1'), evenFlow(6))).toEqual(
      traceSampler(createSampler('unipc', { solverType: 'bh1' }), evenFlow(6)),
    )
    expect(traceSampler(createSampler('uni_pc_bh1', { solverType: 'bh2' }), evenFlow(6))).toEqual(
      traceSampler(createSampler('unipc'), evenFlow(6)),
    )
  })

  test('a schedule in the name is found', () => {
    expect(findSampler('DPM++ 2M Karras')).toEqual({ name: 'dpmpp2m', schedule: 'karras' })
    expect(findSampler('euler-exponential')).toEqual({ name: 'euler', schedule: 'exponential' })
    expect(findSampler('DPM++ 2M SDE Heun Karras')).toEqual({
      name: 'dpmpp2mSde',
      options: { solverType: 'heun' },
      schedule: 'karras',
    })
    expect(findSampler('Euler a SGM Uniform')).toEqual({ name: 'eulerAncestral', schedule: 'sgmUniform' })
    expect(findSampler('dpmpp_3m_sde_beta')).toEqual({ name: 'dpmpp3mSde', schedule: 'beta' })
    expect(findSampler('Euler Align Your Steps SDXL')).toEqual({ name: 'euler', schedule: 'aysSdxl' })
  })

  test('a slip of the pen is told', () => {
    expect(() => findSampler('dpmp_2m')).toThrowError(/did you mean dpmpp2m\?/)
  })

  test.each([undefined, 5, {}] as unknown as string[])('%j is no name', (name) => {
    expect(() => findSampler(name)).toThrowError(expect.objectContaining({ code: 'unknown-sampler' }))
  })

  test.each(['', 'karras', 'eulerr', 'toString', '__proto__', 'dpm++ 4m'])('%j is unknown', (name) => {
    expect(() => findSampler(name)).toThrowError(
      expect.objectContaining({ name: 'EngineError', code: 'unknown-sampler' }),
    )
  })
})

test.each<[string, ScheduleName]>([
  ['karras', 'karras'],
  ['Karras', 'karras'],
  ['SGM Uniform', 'sgmUniform'],
  ['sgm_uniform', 'sgmUniform'],
  ['simple', 'simple'],
  ['normal', 'normal'],
  ['Uniform', 'normal'],
  ['ddim_uniform', 'ddimUniform'],
  ['beta', 'beta'],
  ['use_beta_sigmas', 'betaSigmas'],
  ['Align Your Steps', 'ays'],
  ['AYS SDXL', 'aysSdxl'],
  ['use_lu_lambdas', 'exponential'],
  ['trailing', 'trailing'],
])('schedule %s is %s', (name, want) => {
  expect(findSchedule(name)).toBe(want)
  expect(() => findSchedule(`${name}x`)).toThrowError(expect.objectContaining({ code: 'invalid-option' }))
})

test('CFG++ alone needs the estimate without the prompt', () => {
  expect(SAMPLER_NAMES.filter(usesUncond)).toEqual(['eulerCfgpp', 'eulerAncestralCfgpp'])
})

describe('options', () => {
  test.each(SAMPLER_NAMES)('%s is made without options and refuses unknown ones', (name) => {
    expect(createSampler(name)).toBeTypeOf('function')
    expect(() => createSampler(name, { nonsense: 1 })).toThrowError(expect.objectContaining({ code: 'unknown-option' }))
  })

  test.each<[SamplerName, Record<string, unknown>]>([
    ['ddim', { eta: Number.NaN }],
    ['ddim', { eta: -0.1 }],
    ['ddim', { eta: 1.1 }],
    ['ddim', { eta: '1' }],
    ['eulerAncestral', { eta: Number.NaN }],
    ['euler', { churn: Number.NaN }],
    ['euler', { churn: -1 }],
    ['euler', { churn: Number.POSITIVE_INFINITY }],
    ['euler', { churnMin: Number.NaN }],
    ['euler', { churnMax: -1 }],
    ['euler', { churnNoise: null }],
    ['dpmpp2m', { lowerOrderFinal: 1 }],
    ['lcm', { timestepScaling: Number.NaN }],
    ['lcm', { sigmaData: 0 }],
    ['lcm', { boundary: 1 }],
    ['lms', { order: 5 }],
    ['lms', { order: 2.5 }],
    ['pndm', { history: 'epsilon' }],
    ['ddpm', { variance: 'learned' }],
    ['ddpm', { variance: 1 }],
    ['heun', { churn: -1 }],
    ['dpmpp2mSde', { solverType: 'bh2' }],
    ['dpmpp2mSde', { eta: Number.NaN }],
    ['dpmpp3mSde', { noiseScale: -1 }],
    ['dpmppSde', { eta: 2 }],
    ['dpm2Ancestral', { eta: '1' }],
    ['dpmpp2s', { lowerOrderFinal: null }],
    ['unipc', { order: 4 }],
    ['unipc', { solverType: 'heun' }],
    ['deis', { order: 0 }],
    ['tcd', { eta: 1.1 }],
    ['eulerAncestralCfgpp', { eta: -1 }],
  ])('%s refuses %j', (name, options) => {
    expect(() => createSampler(name, options)).toThrowError(expect.objectContaining({ code: 'invalid-option' }))
  })

  test('an unlimited churn window is fine', () => {
    expect(createSampler('euler', { churn: 1, churnMax: Number.POSITIVE_INFINITY, churnMin: undefined })).toBeTypeOf(
      'function',
    )
  })
})
