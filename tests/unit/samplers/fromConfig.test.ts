/** Planning runs from scheduler configs: overrides, defaults and everything that is refused. Numbers: tests/golden. */

import { describe, expect, test } from 'vitest'
import { parseSchedulerConfig } from '../../../src/samplers/schedules/config'
import { scheduleFromConfig } from '../../../src/samplers/schedules/fromConfig'
import type { SamplingOptions } from '../../../src/samplers/schedules/request'

const SD = { beta_schedule: 'scaled_linear', beta_start: 0.00085, beta_end: 0.012 }
const PNDM = { _class_name: 'PNDMScheduler', ...SD, clip_sample: false, set_alpha_to_one: false, steps_offset: 1 }
const EULER = { _class_name: 'EulerDiscreteScheduler', ...SD }
const DPM = { _class_name: 'DPMSolverMultistepScheduler', ...SD }
const FLOW = { _class_name: 'FlowMatchEulerDiscreteScheduler', shift: 3 }
const FLUX = { _class_name: 'FlowMatchEulerDiscreteScheduler', use_dynamic_shifting: true }

const times = (config: unknown, steps: number, options?: SamplingOptions) =>
  scheduleFromConfig(config, steps, options).schedule.levels.map(({ t }) => t)

describe('overrides', () => {
  test("a sampler takes over another class's settings, as from_config does in diffusers", () => {
    const plan = scheduleFromConfig(PNDM, 10, { sampler: 'DDIM' })
    expect(plan.samplerName).toBe('ddim')
    expect(plan.schedule.levels.map(({ t }) => t)).toEqual([901, 801, 701, 601, 501, 401, 301, 201, 101, 1, 0])
    expect(plan.schedule.levels[10]?.sigma).toBeGreaterThan(0) // set_alpha_to_one is false
    expect(times({ ...PNDM, timestep_spacing: 'leading' }, 10, { sampler: 'DPM++ 2M' })[0]).toBe(901)
    expect(times(PNDM, 10, { sampler: 'DPM++ 2M' })[0]).toBe(999) // the class default there is linspace
  })

  test('a schedule by name replaces the config\'s; "Karras" may stand in the sampler\'s name', () => {
    const karras = { ...EULER, use_karras_sigmas: true }
    expect(times(EULER, 8, { schedule: 'karras' })).toEqual(times(karras, 8))
    expect(times(karras, 8, { schedule: 'linspace' })).toEqual(times(EULER, 8))
    expect(times(EULER, 8, { schedule: 'trailing' })).toEqual(times({ ...EULER, timestep_spacing: 'trailing' }, 8))
    const named = scheduleFromConfig(DPM, 8, { sampler: 'DPM++ 2M Karras' })
    expect(named.schedule.levels).toEqual(scheduleFromConfig({ ...DPM, use_karras_sigmas: true }, 8).schedule.levels)
    const both = scheduleFromConfig(DPM, 8, { sampler: 'dpmpp_2m_karras', schedule: 'Exponential' })
    expect(both.schedule.levels[4]).toEqual(
      scheduleFromConfig({ ...DPM, use_exponential_sigmas: true }, 8).schedule.levels[4],
    )
  })

  test('flow models with a multistep solver take curves over the trained shares of noise', () => {
    const flow = { _class_name: 'DPMSolverMultistepScheduler', use_flow_sigmas: true, flow_shift: 2 }
    const shares = (config: unknown, steps: number, options: SamplingOptions) =>
      scheduleFromConfig(config, steps, options).schedule.levels.map(({ sigma }) => sigma)
    const ends = [1.998 / 1.999, 0.002 / 1.001] // 2 s / (1 + s) at s = 0.999 and 0.001
    for (const schedule of ['karras', 'exponential'] as const) {
      const found = shares(flow, 8, { schedule })
      expect(found).toHaveLength(9)
      expect(found[0]).toBeCloseTo(ends[0] ?? 0, 9)
      expect(found[7]).toBeCloseTo(ends[1] ?? 0, 9)
      expect(found[8]).toBe(0)
      const { schedule: plan, scheduleName } = scheduleFromConfig(flow, 8, { schedule })
      expect(plan.levels.map(({ t }) => t)).toEqual(found.map((s) => s * 1000))
      expect(scheduleName).toBe(schedule)
    }
    // The curve is the one FlowMatchEulerDiscreteScheduler takes between the same ends.
    const middle = ((ends[0] ?? 0) ** (1 / 7) + (4 / 7) * ((ends[1] ?? 0) ** (1 / 7) - (ends[0] ?? 0) ** (1 / 7))) ** 7
    expect(shares(flow, 8, { sampler: 'DPM++ 2M Karras' })[4]).toBeCloseTo(middle, 12)
    expect(shares(flow, 1, { schedule: 'karras' })).toEqual([expect.closeTo(ends[0] ?? 0, 9), 0])
  })

  test("the schedule that was named is told, the model's own is not", () => {
    const named = (config: unknown, options: SamplingOptions) => scheduleFromConfig(config, 4, options).scheduleName
    expect(named(DPM, { sampler: 'DPM++ 2M Karras' })).toBe('karras')
    expect(named(DPM, { sampler: 'DPM++ 2M Karras', schedule: 'exponential' })).toBe('exponential')
    expect(named(DPM, {})).toBeUndefined()
    expect(named({ ...DPM, use_karras_sigmas: true }, {})).toBeUndefined()
  })

  test('flow models take any sampler', () => {
    for (const sampler of ['heun', 'ddim', 'dpmpp2m', 'eulerAncestral', 'lcm']) {
      const plan = scheduleFromConfig(FLOW, 10, { sampler })
      expect(plan.schedule.levels).toEqual(scheduleFromConfig(FLOW, 10).schedule.levels)
      expect(plan.prediction.name).toBe('flow')
      expect(plan.initialScale).toBe(1)
    }
    expect(times(FLOW, 10, { shift: 1 })[1]).toBeCloseTo(889, 6)
  })

  test('dynamic shifting follows the number of image tokens', () => {
    expect(times(FLUX, 8, { imageTokens: 4096 })).toEqual(times(FLUX, 8, { mu: 1.15 }))
    expect(times(FLUX, 8, { imageTokens: 1024 })[4]).toBeCloseTo(times(FLUX, 8, { mu: 0.63 })[4] ?? 0, 9)
  })

  test('strength starts later; LCM rescales its grid instead', () => {
    const plan = scheduleFromConfig(EULER, 10, { strength: 0.35 })
    expect(plan.schedule.first).toBe(7)
    expect(plan.schedule.steps()).toHaveLength(3)
    const lcm = scheduleFromConfig(EULER, 4, { sampler: 'lcm', strength: 0.5 })
    expect(lcm.schedule.first).toBe(0)
    expect(lcm.schedule.steps()).toHaveLength(4)
    expect(lcm.schedule.levels[0]?.t).toBe(499)
    expect(times(EULER, 4, { sampler: 'lcm', distilledSteps: 10 })).toEqual([999, 799, 499, 299, 0])
  })

  test('the sampler is made with its options and those of the config', () => {
    const ask = (options: SamplingOptions) => scheduleFromConfig(DPM, 4, options)
    expect(() => ask({ sampler: 'ddim', samplerOptions: { eta: 0.3 } })).not.toThrow()
    expect(() => ask({ samplerOptions: { eta: 0.3 } })).toThrowError(
      expect.objectContaining({ code: 'unknown-option' }),
    )
  })
})

describe('refusals', () => {
  const NAN = Number.NaN
  test.each<[string, unknown, number, SamplingOptions, string]>([
    ['no object', [], 4, {}, 'invalid-config'],
    ['no class', {}, 4, {}, 'invalid-config'],
    ['unknown class', { _class_name: 'toString' }, 4, { sampler: 'ddim' }, 'unsupported-model'],
    ['PNDM itself', PNDM, 4, {}, 'unsupported-model'],
    ['wrong type', { ...EULER, beta_start: '0.1' }, 4, {}, 'invalid-config'],
    ['out of range', { ...EULER, beta_start: Number.POSITIVE_INFINITY }, 4, {}, 'invalid-config'],
    ['fractional table', { ...EULER, num_train_timesteps: 10.5 }, 4, {}, 'invalid-config'],
    ['wrong word', { ...EULER, timestep_spacing: 'middle' }, 4, {}, 'invalid-config'],
    ['wrong betas', { ...EULER, trained_betas: [0.1, 'x'] }, 2, {}, 'invalid-config'],
    ['thresholding', { ...DPM, thresholding: true }, 4, {}, 'unsupported-model'],
    ['clipping', { ...PNDM, clip_sample: true }, 4, { sampler: 'ddim' }, 'unsupported-model'],
    ["DDIM's default clipping", { _class_name: 'DDIMScheduler' }, 4, {}, 'unsupported-model'],
    [
      'epsilon from pure noise',
      { ...PNDM, timestep_spacing: 'trailing', rescale_betas_zero_snr: true },
      4,
      { sampler: 'ddim' },
      'unsupported-model',
    ],
    ['no steps', EULER, 0, {}, 'invalid-option'],
    ['NaN steps', EULER, NAN, {}, 'invalid-option'],
    ['half steps', EULER, 2.5, {}, 'invalid-option'],
    ['too many steps', EULER, 1001, {}, 'invalid-option'],
    ['too many flow steps', FLOW, 1e9, {}, 'invalid-option'],
    ['unknown sampler', EULER, 4, { sampler: 'eulr' }, 'unknown-sampler'],
    ['unknown schedule', EULER, 4, { schedule: 'karas' }, 'invalid-option'],
    ['a misspelt option', EULER, 4, { samplr: 'ddim' } as SamplingOptions, 'unknown-option'],
    ['no options', EULER, 4, null as unknown as SamplingOptions, 'invalid-option'],
    ['a sampler that is no name', EULER, 4, { sampler: 5 } as unknown as SamplingOptions, 'invalid-option'],
    ['a schedule that is no name', EULER, 4, { schedule: {} } as unknown as SamplingOptions, 'invalid-option'],
    ['strength in words', EULER, 4, { strength: '0.5' } as unknown as SamplingOptions, 'invalid-option'],
    ['sampler options in words', EULER, 4, { samplerOptions: 'eta' } as unknown as SamplingOptions, 'invalid-option'],
    ['one sigma', FLOW, 1, { sigmas: 1 } as unknown as SamplingOptions, 'invalid-option'],
    ['NaN strength', EULER, 4, { strength: NAN }, 'invalid-option'],
    ['no strength', EULER, 4, { strength: 0 }, 'invalid-option'],
    ['too little strength', EULER, 4, { strength: 0.2 }, 'invalid-option'],
    ['shift without flow', EULER, 4, { shift: 3 }, 'invalid-option'],
    ['spacing with flow', FLOW, 4, { schedule: 'trailing' }, 'invalid-option'],
    ['spacing with flow sigmas', { ...DPM, use_flow_sigmas: true }, 4, { schedule: 'leading' }, 'invalid-option'],
    ['both switches', { ...DPM, use_flow_sigmas: true, use_karras_sigmas: true }, 4, {}, 'unsupported-model'],
    ['schedule with LCM', EULER, 4, { sampler: 'lcm', schedule: 'karras' }, 'invalid-option'],
    ['LCM grid without LCM', EULER, 4, { distilledSteps: 50 }, 'invalid-option'],
    ['NaN LCM grid', EULER, 4, { sampler: 'lcm', distilledSteps: NAN }, 'invalid-option'],
    ['NaN shift', FLOW, 4, { shift: NAN }, 'invalid-option'],
    ['mu with a static shift', FLOW, 4, { mu: 1 }, 'invalid-option'],
    ['dynamic without tokens', FLUX, 4, {}, 'invalid-option'],
    ['NaN tokens', FLUX, 4, { imageTokens: NAN }, 'invalid-option'],
    ['mu and tokens', FLUX, 4, { mu: 1, imageTokens: 5 }, 'invalid-option'],
    ['rising sigmas', FLOW, 2, { sigmas: [0.5, 0.7] }, 'invalid-option'],
    ['wrong number of sigmas', FLOW, 3, { sigmas: [0.7, 0.5] }, 'invalid-option'],
    ['NaN eta', PNDM, 4, { sampler: 'ddim', samplerOptions: { eta: NAN } }, 'invalid-option'],
  ])('%s', (_, config, steps, options, code) => {
    expect(() => scheduleFromConfig(config, steps, options)).toThrowError(
      expect.objectContaining({ name: 'EngineError', code }),
    )
  })
})

describe('parseSchedulerConfig', () => {
  test("reads Python's infinities, outside strings only", () => {
    const parsed = parseSchedulerConfig('{"a": -Infinity, "b": Infinity, "c": NaN, "d": "-Infinity \\" NaN", "e": 1}')
    expect(parsed).toEqual({
      a: Number.NEGATIVE_INFINITY,
      b: Number.POSITIVE_INFINITY,
      c: null,
      d: '-Infinity " NaN',
      e: 1,
    })
  })

  test('other text is an error', () => {
    expect(() => parseSchedulerConfig('{"a": ')).toThrowError(expect.objectContaining({ code: 'invalid-config' }))
  })
})
