/** Planning runs from scheduler configs: overrides, defaults and everything that is refused. Numbers: tests/golden. */

import { describe, expect, test } from 'vitest'
import { SAMPLER_NAMES } from '../../../src/samplers/registry'
import { parseSchedulerConfig } from '../../../src/samplers/schedules/config'
import { scheduleFromConfig } from '../../../src/samplers/schedules/fromConfig'
import type { SamplingOptions } from '../../../src/samplers/schedules/request'
import { traceSampler } from '../../../src/samplers/trace'

const SD = { beta_schedule: 'scaled_linear', beta_start: 0.00085, beta_end: 0.012 }
const PNDM = { _class_name: 'PNDMScheduler', ...SD, clip_sample: false, set_alpha_to_one: false, steps_offset: 1 }
const EULER = { _class_name: 'EulerDiscreteScheduler', ...SD }
const DPM = { _class_name: 'DPMSolverMultistepScheduler', ...SD }
const SINGLE = { _class_name: 'DPMSolverSinglestepScheduler', ...SD }
const UNIPC = { _class_name: 'UniPCMultistepScheduler', ...SD }
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

describe("the config's own sampler", () => {
  const EDM = { _class_name: 'EDMDPMSolverMultistepScheduler' }
  test.each<[string, unknown, string]>([
    ['DDPMScheduler', { clip_sample: false }, 'ddpm'],
    ['PNDMScheduler', { skip_prk_steps: true }, 'pndm'],
    ['LMSDiscreteScheduler', {}, 'lms'],
    ['KDPM2DiscreteScheduler', {}, 'dpm2'],
    ['KDPM2AncestralDiscreteScheduler', {}, 'dpm2Ancestral'],
    ['DPMSolverSDEScheduler', {}, 'dpmppSde'],
    ['DPMSolverMultistepScheduler', {}, 'dpmpp2m'],
    ['DPMSolverMultistepScheduler', { algorithm_type: 'sde-dpmsolver++' }, 'dpmpp2mSde'],
    ['DPMSolverMultistepScheduler', { algorithm_type: 'deis', solver_type: 'logrho' }, 'dpmpp2m'],
    ['DPMSolverMultistepScheduler', { solver_order: 3 }, 'dpmpp3m'],
    ['DPMSolverMultistepScheduler', { solver_order: 3, algorithm_type: 'sde-dpmsolver++' }, 'dpmpp3mSde'],
    ['DPMSolverMultistepScheduler', { solver_order: 1 }, 'ddim'],
    ['DPMSolverSinglestepScheduler', {}, 'dpmpp2s'],
    ['UniPCMultistepScheduler', { solver_type: 'bh1', disable_corrector: [] }, 'unipc'],
    ['DEISMultistepScheduler', { solver_order: 3 }, 'deis'],
    ['TCDScheduler', {}, 'tcd'],
    ['EDMEulerScheduler', {}, 'euler'],
    ['EDMDPMSolverMultistepScheduler', { algorithm_type: 'sde-dpmsolver++' }, 'dpmpp2mSde'],
    ['FlowMatchEulerDiscreteScheduler', { stochastic_sampling: true }, 'lcm'],
    ['FlowMatchHeunDiscreteScheduler', {}, 'heun'],
    ['FlowMatchLCMScheduler', {}, 'lcm'],
  ])('%s %j is %s', (className, settings, want) => {
    const config = { _class_name: className, ...(settings as object) }
    const plan = scheduleFromConfig(config, 6)
    expect(plan.samplerName).toBe(want)
    expect(plan.usesUncond).toBe(false)
    expect(plan.schedule.levels).toHaveLength(7)
  })

  test('options of its own count, and are overridden by those of the name and of the caller', () => {
    const trace = (config: unknown, options?: SamplingOptions) => {
      const { sampler, schedule } = scheduleFromConfig(config, 6, options)
      return traceSampler(sampler, schedule)
    }
    const heun = { ...DPM, solver_type: 'heun' }
    expect(trace(heun)).not.toEqual(trace(DPM))
    expect(trace(DPM, { samplerOptions: { solverType: 'heun' } })).toEqual(trace(heun))
    expect(trace(heun, { sampler: 'DPM++ 2M' })).toEqual(trace(heun))
    expect(trace(DPM, { sampler: 'DPM++ 2M Heun' })).toEqual(trace(heun))
    const unipc = { ...DPM, _class_name: 'UniPCMultistepScheduler' }
    expect(trace({ ...unipc, solver_order: 3 })).not.toEqual(trace(unipc))
    expect(trace({ ...unipc, solver_type: 'bh1' })).toEqual(trace(unipc, { sampler: 'uni_pc_bh1' }))
  })

  test('EDM models take any sampler, their own curves, and start from the noise of diffusers', () => {
    const plan = scheduleFromConfig(EDM, 5, { sampler: 'heun', schedule: 'exponential' })
    expect(plan.schedule.path).toBe('exploding')
    expect(plan.initialScale).toBeCloseTo(Math.hypot(80, 1), 12)
    expect(plan.schedule.levels[1]?.sigma).toBeCloseTo(80 * (0.002 / 80) ** 0.25, 9)
    expect(plan.prediction.name).toBe('edm')
  })

  test('CFG++ says that it needs the estimate without the prompt', () => {
    expect(scheduleFromConfig(EULER, 4, { sampler: 'euler_cfg_pp' }).usesUncond).toBe(true)
  })
})

describe('placings by name', () => {
  test.each(['normal', 'sgmUniform', 'simple', 'beta', 'ddimUniform', 'ays', 'aysSdxl', 'betaSigmas'])(
    '%s goes with every sampler that is not of a distilled model, and ends in clean data but for DEIS',
    (schedule) => {
      for (const sampler of SAMPLER_NAMES.filter((name) => name !== 'lcm' && name !== 'tcd')) {
        const { levels } = scheduleFromConfig(EULER, 10, { sampler, schedule }).schedule
        expect(levels, sampler).toHaveLength(11)
        const open = schedule === 'betaSigmas' && (sampler === 'deis' || sampler === 'pndm')
        expect(levels[10]?.sigma === 0, sampler).toBe(!open)
      }
    },
  )

  test('flow models: what FlowMatch does is normal; the others are places in its table', () => {
    expect(times(FLOW, 9, { schedule: 'normal' })).toEqual(times(FLOW, 9))
    const simple = times(FLOW, 4, { schedule: 'simple' })
    const shifted = [1, 0.75, 0.5, 0.25].map((s) => (3000 * s) / (1 + 2 * s))
    simple.slice(0, 4).forEach((t, i) => {
      expect(t).toBeCloseTo(shifted[i] ?? Number.NaN, 9)
    })
    for (const schedule of ['sgm_uniform', 'beta', 'ddim_uniform', 'use_beta_sigmas']) {
      expect(times(FLOW, 8, { schedule })).toHaveLength(9)
    }
    expect(times({ ...FLOW, use_beta_sigmas: true }, 8)).toEqual(times(FLOW, 8, { schedule: 'betaSigmas' }))
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
    [
      'noise prediction',
      { ...DPM, algorithm_type: 'dpmsolver', final_sigmas_type: 'sigma_min' },
      4,
      {},
      'unsupported-model',
    ],
    ['an order above 3', { ...DPM, solver_order: 4 }, 4, {}, 'invalid-config'],
    ['learned variance', { ...DPM, variance_type: 'learned_range' }, 4, {}, 'unsupported-model'],
    [
      "DDPM's learned variance",
      { _class_name: 'DDPMScheduler', clip_sample: false, variance_type: 'learned_range' },
      4,
      {},
      'unsupported-model',
    ],
    ["DDPM's default clipping", { _class_name: 'DDPMScheduler' }, 4, {}, 'unsupported-model'],
    ['singlestep SDE', { ...SINGLE, algorithm_type: 'sde-dpmsolver++' }, 4, {}, 'unsupported-model'],
    ['singlestep of third order', { ...SINGLE, solver_order: 3 }, 4, {}, 'unsupported-model'],
    ['UniPC on noise', { ...UNIPC, predict_x0: false }, 4, {}, 'unsupported-model'],
    ['UniPC half corrected', { ...UNIPC, disable_corrector: [0] }, 4, {}, 'unsupported-model'],
    ['UniPC with another solver', { ...UNIPC, solver_p: {} }, 4, {}, 'unsupported-model'],
    [
      'a seed in the config',
      { _class_name: 'DPMSolverSDEScheduler', noise_sampler_seed: 1 },
      4,
      {},
      'unsupported-model',
    ],
    ['logarithmic interpolation', { ...EULER, interpolation_type: 'log_linear' }, 4, {}, 'unsupported-model'],
    ['scales', { _class_name: 'FlowMatchLCMScheduler', scale_factors: [1, 2] }, 4, {}, 'unsupported-model'],
    ['EDM of x0', { _class_name: 'EDMEulerScheduler', prediction_type: 'sample' }, 4, {}, 'invalid-config'],
    ['EDM with a spacing', { _class_name: 'EDMEulerScheduler' }, 4, { schedule: 'trailing' }, 'invalid-option'],
    ['EDM with a shift', { _class_name: 'EDMEulerScheduler' }, 4, { shift: 2 }, 'invalid-option'],
    ['flow with Align Your Steps', FLOW, 4, { schedule: 'ays' }, 'invalid-option'],
    ['schedule with TCD', EULER, 4, { sampler: 'tcd', schedule: 'beta' }, 'invalid-option'],
    [
      'flow ending in a table',
      { ...DPM, use_flow_sigmas: true, final_sigmas_type: 'sigma_min' },
      4,
      {},
      'unsupported-model',
    ],
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
