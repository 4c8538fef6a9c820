/** What the contract must carry beyond the shipped samplers: CFG++, inpainting, churn, pure noise and clean data. */

import { describe, expect, test } from 'vitest'
import { dpmpp2m } from '../../../src/samplers/dpmpp2m'
import { runSampler } from '../../../src/samplers/drive'
import { euler } from '../../../src/samplers/euler'
import { eulerCfgpp } from '../../../src/samplers/eulerCfgpp'
import { heun } from '../../../src/samplers/heun'
import { flowLevel, type Level, lambda, noiseRatio } from '../../../src/samplers/level'
import { philoxNoise } from '../../../src/samplers/noise'
import { createSampler, SAMPLER_NAMES } from '../../../src/samplers/registry'
import { scheduleFromConfig } from '../../../src/samplers/schedules/fromConfig'
import { replayTrace, traceSampler } from '../../../src/samplers/trace'
import { asHost, hostLatent, lincomb } from '../../../src/tensor/latent'
import { answer, DEVIATION, denoise, evenFlow, evenSchedule, exact, MEAN, noNoise, SD_TABLE, single } from './gaussian'

describe('CFG++', () => {
  const guided = (request: Parameters<typeof answer>[0]) => {
    const { x, x0 } = answer(request)
    return { x, x0: lincomb([1.3, asHost(x0)], [-0.3, single(0.1)]), uncond: single(0.1) }
  }

  test("one step is alpha' x0_guided + sigma' eps_uncond", () => {
    const schedule = evenSchedule(3)
    const [level, next] = schedule.steps()[0] ?? []
    if (level === undefined || next === undefined) throw new Error('no step')
    const run = eulerCfgpp()(single(0.9), schedule, noNoise)
    const first = run.next()
    if (first.done) throw new Error('no request')
    const reply = guided(first.value)
    const second = run.next(reply)
    if (second.done) throw new Error('no second request')
    const epsilon = (0.9 - level.alpha * 0.1) / level.sigma
    const want = next.alpha * (reply.x0.data[0] ?? 0) + next.sigma * epsilon
    expect(asHost(second.value.x).data[0]).toBeCloseTo(want, 6)
  })

  test('its trace has uncond terms and replays to the same result', () => {
    const schedule = evenSchedule(5)
    const trace = traceSampler(eulerCfgpp(), schedule)
    expect(trace.result.map(({ of }) => of).sort()).toEqual(['uncond', 'x', 'x0'])
    const direct = asHost(runSampler(eulerCfgpp(), single(0.9), schedule, noNoise, guided))
    const replayed = asHost(replayTrace(trace, single(0.9), noNoise, guided))
    expect(replayed.data[0]).toBeCloseTo(direct.data[0] ?? Number.NaN, 6)
    expect(() => replayTrace(trace, single(0.9), noNoise, answer)).toThrowError(
      expect.objectContaining({ code: 'missing-input' }),
    )
  })

  test('where nothing is guided the step is that without CFG++', () => {
    const noise = philoxNoise(8, [1])
    for (const [guided, plain] of [
      ['eulerCfgpp', 'euler'],
      ['eulerAncestralCfgpp', 'eulerAncestral'],
    ] as const) {
      const [a, b] = [guided, plain].map((name) =>
        asHost(runSampler(createSampler(name), single(0.9), evenSchedule(5), noise.between, answer)),
      )
      expect(a?.data[0]).toBeCloseTo(b?.data[0] ?? Number.NaN, 6)
    }
  })
})

describe('masked edit between steps (inpainting)', () => {
  const known = Float32Array.of(2, -3)
  const shape = [2, 2]
  const config = {
    _class_name: 'DDIMScheduler',
    beta_schedule: 'scaled_linear',
    beta_start: 0.00085,
    beta_end: 0.012,
    clip_sample: false,
    timestep_spacing: 'trailing',
  }

  test.each(SAMPLER_NAMES)('%s: the first row ends on the known picture, the second is as without a mask', (name) => {
    const { sampler, schedule } = scheduleFromConfig(config, 10, { sampler: name })
    const noise = philoxNoise(5, shape)
    const inpaint = (request: Parameters<typeof answer>[0]) => {
      const x = asHost(request.x)
      const { alpha, sigma } = request.level
      const edited = x.data.map((value, i) => {
        const kept = known[i]
        return kept === undefined ? value : alpha * kept + sigma * (noise.initial.data[i] ?? 0)
      })
      const x0 = denoise(hostLatent(edited, shape), request.level).data.map((value, i) => known[i] ?? value)
      return { x: hostLatent(edited, shape), x0: hostLatent(x0, shape) }
    }
    const masked = asHost(runSampler(sampler, noise.initial, schedule, noise.between, inpaint)).data
    const free = asHost(runSampler(sampler, noise.initial, schedule, noise.between, answer)).data
    // Most schedules end in clean data; those of PNDM, DEIS and TCD at the cleanest trained level.
    const last = schedule.levels[schedule.levels.length - 1]
    if (last === undefined) throw new Error('no level')
    known.forEach((kept, i) => {
      const want = last.alpha * kept + last.sigma * (noise.initial.data[i] ?? 0)
      expect(masked[i]).toBeCloseTo(want, 4)
    })
    expect([masked[2], masked[3]]).toEqual([free[2], free[3]])
    expect(free[0]).not.toBeCloseTo(2, 1)
  })
})

describe('churn', () => {
  test('asks at a noisier level between the table entries and adds exactly the missing variance', () => {
    const schedule = evenSchedule(8)
    const steps = schedule.steps()
    const noise = philoxNoise(1, [1])
    const gamma = 2 / 8
    const asked: { level: Level; x: number }[] = []
    const before: number[] = [0.4]
    let index = 0
    runSampler(euler({ churn: 2 }), single(0.4), schedule, noise.between, (request) => {
      const reply = answer(request)
      asked.push({ level: request.level, x: asHost(request.x).data[0] ?? Number.NaN })
      const next = steps[index++]?.[1]
      if (next === undefined) throw new Error('more requests than steps')
      const r = next.sigma / request.level.sigma
      const x0 = asHost(reply.x0).data[0] ?? Number.NaN
      before.push(r * (asHost(request.x).data[0] ?? 0) + (next.alpha - r * request.level.alpha) * x0)
      return reply
    })
    expect(asked).toHaveLength(8)
    asked.forEach(({ level, x }, i) => {
      const start = schedule.levels[i]
      if (start === undefined) throw new Error('no level')
      const wanted = Math.min(noiseRatio(start) * (1 + gamma), SD_TABLE.ratioAt(999))
      expect(noiseRatio(level) / wanted).toBeCloseTo(1, 6)
      expect(level.t).toBeGreaterThanOrEqual(start.t)
      // In x / alpha: s^2 grows by s_hat^2 - s^2.
      const added = Math.sqrt(Math.max(0, wanted ** 2 - noiseRatio(start) ** 2))
      const z = i === 0 ? 0 : (noise.between(start, level).data[0] ?? 0) // the first level is already the noisiest
      expect(x / level.alpha).toBeCloseTo((before[i] ?? 0) / start.alpha + added * z, 4)
    })
    expect(asked[0]?.level).toEqual(schedule.levels[0])
    expect(asked[1]?.level.t).not.toBe(schedule.levels[1]?.t)
  })

  test('stays within its window of noise ratios and does nothing outside', () => {
    const schedule = evenSchedule(8)
    const levels: Level[] = []
    const noise = philoxNoise(1, [1])
    runSampler(euler({ churn: 2, churnMin: 0.5, churnMax: 3 }), single(0.4), schedule, noise.between, (request) => {
      levels.push(request.level)
      return answer(request)
    })
    levels.forEach((level, i) => {
      const start = schedule.levels[i]
      const inside = start !== undefined && noiseRatio(start) >= 0.5 && noiseRatio(start) <= 3
      expect(level !== start, `level ${i}`).toBe(inside)
    })
    expect(levels.filter((level, i) => level !== schedule.levels[i]).length).toBeGreaterThan(1)
  })

  test('works on flow levels, from pure noise on', () => {
    const schedule = evenFlow(200)
    const noise = philoxNoise(9, [4000])
    const x = asHost(runSampler(euler({ churn: 10 }), noise.initial, schedule, noise.between, answer)).data
    const mean = x.reduce((sum, value) => sum + value, 0) / x.length
    const deviation = Math.sqrt(x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length)
    expect(Math.abs(mean - MEAN)).toBeLessThan(0.04)
    expect(Math.abs(deviation / DEVIATION - 1)).toBeLessThan(0.05)
  })
})

describe('a 2M step on a flow schedule', () => {
  test('is first order at pure noise and equals the formula in lambda afterwards', () => {
    const levels = [flowLevel(1, 1000), flowLevel(0.8, 800), flowLevel(0.5, 500), flowLevel(0.3, 300)]
    const schedule = {
      ...evenFlow(3),
      levels,
      steps: () => levels.slice(0, -1).map((l, i) => [l, levels[i + 1] ?? l] as const),
    }
    const asked: number[] = []
    const data: number[] = []
    const result = runSampler(dpmpp2m({ lowerOrderFinal: false }), single(1.1), schedule, noNoise, (request) => {
      const reply = answer(request)
      asked.push(asHost(request.x).data[0] ?? Number.NaN)
      data.push(asHost(reply.x0).data[0] ?? Number.NaN)
      return reply
    })
    const [x0 = 0, x1 = 0, x2 = 0] = asked
    const [d0 = 0, d1 = 0, d2 = 0] = data
    const [l0, l1, l2, l3] = levels.map(lambda)
    expect(l0).toBe(Number.NEGATIVE_INFINITY)
    expect(x1).toBeCloseTo(0.8 * x0 + 0.2 * d0, 6) // from s = 1: x' = s' x + (1 - s') x0
    // The step before last has an infinite one behind it, so D1 of the paper is 0.
    const h1 = (l2 ?? 0) - (l1 ?? 0)
    expect(x2).toBeCloseTo((0.5 / 0.8) * x1 - 0.5 * Math.expm1(-h1) * d1, 6)
    const h2 = (l3 ?? 0) - (l2 ?? 0)
    const slope = (h2 / h1) * (d2 - d1)
    const want = (0.3 / 0.5) * x2 - 0.7 * Math.expm1(-h2) * d2 - 0.5 * 0.7 * Math.expm1(-h2) * slope
    expect(asHost(result).data[0]).toBeCloseTo(want, 6)
  })

  test('two hundred steps reach the exact solution', () => {
    const schedule = evenFlow(200)
    const [first, last] = [flowLevel(1, 0), flowLevel(0, 0)]
    const x = asHost(runSampler(dpmpp2m(), single(-1.2), schedule, noNoise, answer)).data[0] ?? Number.NaN
    expect(x).toBeCloseTo(exact(-1.2, first, last), 3)
  })
})

describe('every sampler', () => {
  /** Their last step is a mean over the slopes of several, so its end is no single estimate. */
  const OF_SLOPES: readonly string[] = ['lms', 'pndm']

  test.each(SAMPLER_NAMES.filter((name) => !OF_SLOPES.includes(name)))(
    '%s ends exactly on x0 of its last evaluation when the last level is clean',
    (name) => {
      const noise = philoxNoise(3, [5])
      let last = hostLatent(new Float32Array(5))
      const result = runSampler(createSampler(name), noise.initial, evenFlow(6), noise.between, (request) => {
        const reply = answer(request)
        last = asHost(reply.x0)
        return reply
      })
      asHost(result).data.forEach((value, i) => {
        expect(value).toBeCloseTo(last.data[i] ?? Number.NaN, 5)
      })
    },
  )

  test.each(SAMPLER_NAMES)('%s goes from pure noise to its last level on a table with zero terminal SNR', (name) => {
    const config = {
      _class_name: 'DDIMScheduler',
      clip_sample: false,
      rescale_betas_zero_snr: true,
      prediction_type: 'v_prediction',
      timestep_spacing: 'trailing',
    }
    const { sampler, schedule } = scheduleFromConfig(config, 40, { sampler: name })
    const noise = philoxNoise(3, [4000])
    const x = asHost(runSampler(sampler, noise.initial, schedule, noise.between, answer)).data
    const mean = x.reduce((sum, value) => sum + value, 0) / x.length
    const last = schedule.levels[schedule.levels.length - 1]
    expect(noiseRatio(schedule.levels[0] ?? flowLevel(0, 0))).toBeGreaterThanOrEqual(4095)
    expect(Math.abs(mean - (last?.alpha ?? Number.NaN) * MEAN)).toBeLessThan(0.06)
  })

  test.each(SAMPLER_NAMES)('%s evaluates pure noise once, at alpha = 0', (name) => {
    const schedule = evenFlow(4)
    const noise = philoxNoise(3, [5])
    const levels: Level[] = []
    runSampler(createSampler(name), noise.initial, schedule, noise.between, (request) => {
      levels.push(request.level)
      return answer(request)
    })
    expect(levels[0]).toEqual({ alpha: 0, sigma: 1, t: 1000 })
    expect(levels.filter(({ alpha }) => alpha === 0)).toHaveLength(1)
  })

  test('Heun evaluates twice a step, once in the step to clean data', () => {
    let count = 0
    runSampler(heun(), single(1), evenFlow(5), noNoise, (request) => {
      count++
      return answer(request)
    })
    expect(count).toBe(9)
  })
})
