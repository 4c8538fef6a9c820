/** Samplers by name, and the checking of their options. */

import { describe, expect, test } from 'vitest'
import { createSampler, findSampler, SAMPLER_NAMES, type SamplerName } from '../../../src/samplers/registry'

describe('findSampler', () => {
  test.each<[string, SamplerName]>([
    ['euler', 'euler'],
    ['Euler', 'euler'],
    ['k_euler', 'euler'],
    ['FlowMatchEulerDiscreteScheduler', 'euler'],
    ['Euler a', 'eulerAncestral'],
    ['euler_ancestral', 'eulerAncestral'],
    ['EulerAncestralDiscreteScheduler', 'eulerAncestral'],
    ['Heun', 'heun'],
    ['ddim', 'ddim'],
    ['DDIM', 'ddim'],
    ['DPM++ 2M', 'dpmpp2m'],
    ['dpmpp_2m', 'dpmpp2m'],
    ['DPMSolverMultistepScheduler', 'dpmpp2m'],
    ['LCM', 'lcm'],
  ])('%s is %s', (name, want) => {
    expect(findSampler(name)).toEqual({ name: want })
  })

  test('a schedule in the name is found', () => {
    expect(findSampler('DPM++ 2M Karras')).toEqual({ name: 'dpmpp2m', schedule: 'karras' })
    expect(findSampler('euler-exponential')).toEqual({ name: 'euler', schedule: 'exponential' })
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
  ])('%s refuses %j', (name, options) => {
    expect(() => createSampler(name, options)).toThrowError(expect.objectContaining({ code: 'invalid-option' }))
  })

  test('an unlimited churn window is fine', () => {
    expect(createSampler('euler', { churn: 1, churnMax: Number.POSITIVE_INFINITY, churnMin: undefined })).toBeTypeOf(
      'function',
    )
  })
})
