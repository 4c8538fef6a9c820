/** Properties of every sampler: order of convergence, distribution, independence of company, linearity, edits. */

import { describe, expect, test } from 'vitest'
import { dpmpp2m } from '../../src/samplers/dpmpp2m'
import { runSampler, type SamplerRun, startSampler } from '../../src/samplers/drive'
import { preservingLevel } from '../../src/samplers/level'
import { philoxNoise, torchNoise } from '../../src/samplers/noise'
import { edmPrediction } from '../../src/samplers/prediction'
import { createSampler, SAMPLER_NAMES, type SamplerName } from '../../src/samplers/registry'
import type { Sampler, SamplerReply, SamplerRequest } from '../../src/samplers/sampler'
import { makeSchedule, type Schedule } from '../../src/samplers/schedule'
import { edmSchedule } from '../../src/samplers/schedules/edm'
import { scheduleFromConfig } from '../../src/samplers/schedules/fromConfig'
import { splitNoise } from '../../src/samplers/splitNoise'
import { replayTrace, traceSampler } from '../../src/samplers/trace'
import { asHost, hostLatent, lincomb } from '../../src/tensor/latent'
import { philoxNormals } from '../../src/tensor/philox'
import {
  answer,
  answerBy,
  answerDoubles,
  asDoubles,
  DEVIATION,
  denoise,
  doubles,
  edmToMin,
  evenFlow,
  evenSchedule,
  exact,
  exactDrift,
  MEAN,
  noNoise,
  SD_TABLE,
  single,
} from '../unit/samplers/gaussian'

const CONFIG = {
  _class_name: 'PNDMScheduler',
  beta_schedule: 'scaled_linear',
  beta_start: 0.00085,
  beta_end: 0.012,
  clip_sample: false,
  timestep_spacing: 'trailing',
}

/** Every sampler with options that make it differ, on schedules of every kind. */
const runs: readonly { readonly name: string; readonly sampler: Sampler; readonly schedule: Schedule }[] = [
  ...SAMPLER_NAMES.map((name) => [name, {}] as const),
  ['euler', { churn: 3, churnNoise: 1.003 }] as const,
  ['heun', { churn: 3 }] as const,
  ['ddim', { eta: 0.6 }] as const,
  ['ddpm', { variance: 'large' }] as const,
  ['tcd', { eta: 0.8 }] as const,
  ['dpmppSde', { eta: 0.4 }] as const,
  ['dpmpp2m', { lowerOrderFinal: false }] as const,
  ['dpmpp2s', { solverType: 'heun' }] as const,
  ['dpmpp2mSde', { solverType: 'heun', eta: 0.5 }] as const,
  ['dpmpp3mSde', { lowerOrderFinal: true }] as const,
  ['unipc', { order: 3, solverType: 'bh1' }] as const,
  ['unipc', { corrector: false }] as const,
  ['deis', { order: 3 }] as const,
].flatMap(([name, samplerOptions]: readonly [SamplerName, Readonly<Record<string, unknown>>]) => {
  const label = `${name} ${JSON.stringify(samplerOptions)}`
  const sampler = createSampler(name, samplerOptions)
  const plan = (strength: number) => scheduleFromConfig(CONFIG, 6, { sampler: name, strength }).schedule
  return [
    { name: `${label} trailing`, sampler, schedule: plan(1) },
    { name: `${label} from a picture`, sampler, schedule: plan(0.7) },
    { name: `${label} even in lambda`, sampler, schedule: evenSchedule(16) },
    { name: `${label} flow`, sampler, schedule: evenFlow(5) },
    { name: `${label} EDM`, sampler, schedule: edmSchedule(8) },
  ]
})

/** The slope of ln error over ln n. */
function order(
  sampler: Sampler,
  schedule: (n: number) => Schedule,
  counts: readonly number[],
  reply: (request: SamplerRequest) => SamplerReply = answer,
): number {
  const points = counts.map((n) => {
    const { levels } = schedule(n)
    const [first, last] = [levels[0], levels[levels.length - 1]]
    if (first === undefined || last === undefined) throw new Error('empty schedule')
    const starts = [-1.5, -0.2, 0.4, 1.9].map((z) => z * first.sigma)
    const x = hostLatent(Float32Array.from(starts))
    const end = asHost(runSampler(sampler, x, schedule(n), noNoise, reply)).data
    const errors = starts.map((start, i) => Math.abs((end[i] ?? Number.NaN) - exact(Math.fround(start), first, last)))
    return [Math.log(n), Math.log(Math.max(...errors))] as const
  })
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / points.length
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / points.length
  const slope = points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0)
  return -slope / points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
}

describe('order of convergence on a Gaussian', () => {
  const smooth = (n: number) => evenSchedule(n)
  /** From s = 0.98 to 0.02, evenly: no pure noise, no clean data, where every solver drops to first order. */
  const flow = (n: number) => {
    const whole = evenFlow(2)
    const levels = Array.from({ length: n + 1 }, (_, i) => {
      const s = 0.98 - (0.96 * i) / n
      return { alpha: 1 - s, sigma: s, t: 1000 * s }
    })
    return makeSchedule('flow', levels, whole)
  }
  const counts = [16, 24, 32, 48, 64]

  test.each([
    ['euler', 1],
    ['ddim', 1],
    ['heun', 2],
  ] as const)('%s is of order %d', (name, want) => {
    expect(Math.abs(order(createSampler(name), smooth, counts) - want)).toBeLessThan(0.2)
    expect(Math.abs(order(createSampler(name), flow, counts) - want)).toBeLessThan(0.2)
  })

  test('dpmpp2m is of order 2', () => {
    const sampler = dpmpp2m({ lowerOrderFinal: false })
    expect(Math.abs(order(sampler, smooth, counts) - 2)).toBeLessThan(0.2)
    expect(Math.abs(order(sampler, flow, [64, 96, 128, 192]) - 2)).toBeLessThan(0.35)
  })

  test.each([
    ['euler', 1],
    ['ddim', 1],
    ['heun', 2],
    ['dpmpp2m', 2],
  ] as const)('%s on EDM levels, through a preconditioned network, is of order %d', (name, want) => {
    const sampler = createSampler(name, name === 'dpmpp2m' ? { lowerOrderFinal: false } : {})
    for (const sigmaData of [DEVIATION, 1]) {
      const reply = answerBy(edmPrediction({ sigmaData }))
      expect(Math.abs(order(sampler, edmToMin, [32, 48, 64, 96, 128], reply) - want)).toBeLessThan(0.2)
    }
  })

  /**
   * The slope between two numbers of steps so large that the asymptotic order shows, in float64.
   *
   * @param eta - of the drift that is solved, the noise being left out.
   */
  const orderDoubles = (sampler: Sampler, schedule: (n: number) => Schedule, eta = 0) => {
    const error = (n: number) => {
      const run = schedule(n)
      const [first, last] = [run.levels[0], run.levels[n]]
      if (first === undefined || last === undefined) throw new Error('empty schedule')
      const starts = [-1.5, -0.2, 0.4, 1.9].map((z) => z * first.sigma)
      const silence = () => doubles(starts.map(() => 0))
      const end = asDoubles(runSampler(sampler, doubles(starts), run, silence, answerDoubles)).values
      return Math.max(...starts.map((x, i) => Math.abs((end[i] ?? Number.NaN) - exactDrift(x, first, last, eta))))
    }
    return Math.log2(error(128) / error(256))
  }

  /** Steps that grow from very small ones, so that the first, of low order for want of history, do not show. */
  const growing = (n: number) => {
    const [max, min] = [SD_TABLE.ratioAt(999), SD_TABLE.ratioAt(0)]
    const ratio = (i: number) => max * (min / max) ** ((i / n) ** 2)
    const levels = Array.from({ length: n + 1 }, (_, i) => preservingLevel(ratio(i), SD_TABLE.timeOf(ratio(i))))
    return makeSchedule('preserving', levels, SD_TABLE)
  }

  test.each<[SamplerName, Readonly<Record<string, unknown>>, number, ((n: number) => Schedule)?]>([
    ['dpm2', {}, 2],
    ['dpm2', {}, 2, flow],
    ['dpmpp2s', {}, 2],
    ['dpmpp2s', { solverType: 'heun' }, 2],
    ['dpmpp2m', { solverType: 'heun' }, 2],
    ['dpmpp2m', {}, 2, flow],
    ['dpmpp3m', {}, 2], // not 3, see dpmppMultistep.ts
    ['unipc', { corrector: false }, 2],
    ['unipc', { corrector: false }, 2, flow],
    ['unipc', {}, 3],
    ['unipc', {}, 3, flow],
    ['unipc', { solverType: 'bh1' }, 3],
    ['unipc', { order: 3, corrector: false }, 3, growing],
    ['unipc', { order: 3 }, 4, growing],
    ['deis', {}, 2],
    ['deis', { order: 3 }, 3, growing],
    ['lms', { order: 2 }, 2],
    ['lms', { order: 3 }, 3, growing],
    ['lms', {}, 4, growing],
    ['pndm', {}, 2], // its weights are those of equal steps
    ['dpmppSde', { eta: 0 }, 2],
  ])('%s %j is of order %d', (name, options, want, schedule = smooth) => {
    const sampler = createSampler(name, name === 'unipc' ? { lowerOrderFinal: false, ...options } : options)
    expect(Math.abs(orderDoubles(sampler, schedule) - want)).toBeLessThan(0.2)
  })

  test.each<[SamplerName, Readonly<Record<string, unknown>>, number, number]>([
    ['eulerAncestral', { eta: 0.5 }, 0.25, 1], // k-diffusion's eta counts squared
    ['ddim', { eta: 0.5 }, 0.25, 1],
    ['dpm2Ancestral', {}, 1, 1],
    ['dpmpp2mSde', { eta: 0.5 }, 0.5, 2],
    ['dpmpp2mSde', { eta: 0.5, solverType: 'heun' }, 0.5, 2],
    ['dpmpp3mSde', { eta: 0.5 }, 0.5, 2],
  ])('the drift of %s %j is solved with eta = %d, order %d', (name, options, eta, want) => {
    expect(Math.abs(orderDoubles(createSampler(name, options), smooth, eta) - want)).toBeLessThan(0.2)
  })

  test.each(['eulerAncestral', 'ddpm', 'dpmppSde', 'dpmpp2mSde', 'dpmpp3mSde'] as const)(
    '%s with eta = 1 solves the drift exactly, x0 being constant along it',
    (name) => {
      const schedule = smooth(7)
      const [first, last] = [schedule.levels[0], schedule.levels[7]]
      if (first === undefined || last === undefined) throw new Error('empty schedule')
      const end = runSampler(createSampler(name), doubles([1.1]), schedule, () => doubles([0]), answerDoubles)
      expect(asDoubles(end).values[0]).toBeCloseTo(exactDrift(1.1, first, last, 1), 12)
    },
  )

  test('UniPC of order 2 without its corrector is DPM-Solver++(2M)', () => {
    const [a, b] = [
      createSampler('unipc', { corrector: false, lowerOrderFinal: false }),
      createSampler('dpmpp2m', { lowerOrderFinal: false }),
    ].map((sampler) => asDoubles(runSampler(sampler, doubles([0.8]), smooth(9), noNoise, answerDoubles)).values[0])
    expect(a).toBeCloseTo(b ?? Number.NaN, 12)
  })

  test('DPM++ 2M SDE with eta = 0 is 2M, 3M SDE is 3M, DDPM is DDIM with eta = 1', () => {
    const noise = philoxNoise(3, [16])
    const pairs = [
      [createSampler('dpmpp2mSde', { eta: 0 }), createSampler('dpmpp2m')],
      [
        createSampler('dpmpp3mSde', { eta: 0 }),
        createSampler('dpmpp3m', { lowerOrderFinal: false, solverType: 'heun' }),
      ],
      [createSampler('ddpm'), createSampler('ddim', { eta: 1 })],
    ] as const
    for (const pair of pairs) {
      const [a, b] = pair.map((sampler) => asHost(runSampler(sampler, noise.initial, smooth(9), noise.between, answer)))
      a?.data.forEach((value, i) => {
        expect(value).toBeCloseTo(b?.data[i] ?? Number.NaN, 5)
      })
    }
  })

  test('Euler and DDIM without fresh noise are one method', () => {
    for (const schedule of [evenSchedule(7), evenFlow(7), edmSchedule(7)]) {
      const x = hostLatent(philoxNormals(1, 0n, 64))
      const [a, b] = (['euler', 'ddim'] as const).map((name) =>
        asHost(runSampler(createSampler(name), x, schedule, noNoise, answer)),
      )
      a?.data.forEach((value, i) => {
        expect(value).toBeCloseTo(b?.data[i] ?? Number.NaN, 5)
      })
    }
  })
})

describe('stochastic samplers reach the distribution', () => {
  const count = 10_000
  test.each<[SamplerName, Readonly<Record<string, unknown>>, number]>([
    ['eulerAncestral', {}, 200],
    ['ddim', { eta: 0.5 }, 200],
    ['ddim', { eta: 1 }, 200],
    ['euler', { churn: 8 }, 200],
    ['heun', { churn: 8 }, 60],
    ['ddpm', {}, 200],
    ['ddpm', { variance: 'large' }, 200],
    ['dpm2Ancestral', {}, 80],
    ['dpmppSde', {}, 60],
    ['dpmppSde', { eta: 0.6 }, 60],
    ['dpmpp2mSde', {}, 80],
    ['dpmpp2mSde', { eta: 0.4, solverType: 'heun' }, 80],
    ['dpmpp3mSde', {}, 80],
    ['eulerAncestralCfgpp', {}, 200],
  ])('%s %j', (name, samplerOptions, steps) => {
    for (const schedule of [evenSchedule(steps), evenFlow(steps)]) {
      const first = schedule.levels[0]
      const last = schedule.levels[schedule.levels.length - 1]
      if (first === undefined || last === undefined) throw new Error('empty schedule')
      const noise = philoxNoise(12, [count])
      const start = hostLatent(
        noise.initial.data.map((z) => first.alpha * MEAN + Math.hypot(first.alpha * DEVIATION, first.sigma) * z),
      )
      const sampler = createSampler(name, samplerOptions)
      const x = asHost(runSampler(sampler, start, schedule, noise.between, answer)).data
      const mean = x.reduce((sum, value) => sum + value, 0) / count
      const deviation = Math.sqrt(x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count)
      const want = Math.hypot(last.alpha * DEVIATION, last.sigma)
      // Five standard errors and 2 % for the first-order steps.
      expect(Math.abs(mean - last.alpha * MEAN)).toBeLessThan(5 * (want / Math.sqrt(count)) + 0.02 * MEAN)
      expect(Math.abs(deviation / want - 1)).toBeLessThan(5 / Math.sqrt(2 * count) + 0.02)
    }
  })

  test('TCD keeps gamma of the noise of each jump: the chain of means and variances is computed exactly', () => {
    const noise = philoxNoise(12, [count])
    const { schedule, sampler } = scheduleFromConfig({ _class_name: 'TCDScheduler' }, 6)
    const x = asHost(runSampler(sampler, noise.initial, schedule, noise.between, answer)).data
    const mean = x.reduce((sum, value) => sum + value, 0) / count
    const deviation = Math.sqrt(x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count)
    let [expected, variance] = [0, 1]
    for (const [level, next] of schedule.steps()) {
      const abar = SD_TABLE.abar[Math.floor(0.7 * next.t)] ?? Number.NaN
      const [alpha, sigma] = [Math.sqrt(abar), Math.sqrt(1 - abar)]
      const gain = (level.alpha * DEVIATION ** 2) / ((level.alpha * DEVIATION) ** 2 + level.sigma ** 2)
      const r = sigma / level.sigma
      const slope = r + (alpha - r * level.alpha) * gain // of x_s in x
      const kept = next.alpha / alpha
      expected = kept * (slope * expected + (alpha - r * level.alpha) * (1 - gain * level.alpha) * MEAN)
      variance = (kept * slope) ** 2 * variance + 1 - kept ** 2
    }
    expect(Math.abs(mean - expected)).toBeLessThan(5 * Math.sqrt(variance / count) + 1e-4)
    expect(Math.abs(deviation / Math.sqrt(variance) - 1)).toBeLessThan(5 / Math.sqrt(2 * count) + 1e-3)
  })

  test.each([1, 0.6])('DPM++ SDE with eta = %d: both parts of its noise make up the variance of the step', (eta) => {
    const schedule = evenSchedule(4)
    const [level, next] = schedule.steps()[0] ?? []
    if (level === undefined || next === undefined) throw new Error('no step')
    const trace = traceSampler(createSampler('dpmppSde', { eta }), schedule)
    expect(trace.noises[0]?.to).toEqual(trace.noises[1]?.from) // parts of one path, without a gap
    expect(trace.noises.slice(0, 2).map(({ from }) => from)[0]).toEqual(level)
    expect(trace.noises[1]?.to).toEqual(next)
    const inner = trace.requests[1]?.x.find(({ of }) => of === 'noise')?.coefficient ?? Number.NaN
    const outer = trace.requests[2]?.x ?? []
    const carried = outer.find(({ of }) => of === 'x')?.coefficient ?? Number.NaN
    const rest = outer.find(({ of }) => of === 'noise')?.coefficient ?? Number.NaN
    const { up } = splitNoise(level, next, eta)
    expect(Math.hypot(carried * inner, rest)).toBeCloseTo(up, 12)
  })

  test('LCM draws from x0 anew at every step, so its result has the deviation of x0 given x', () => {
    const noise = philoxNoise(12, [count])
    const schedule = evenFlow(4)
    const x = asHost(runSampler(createSampler('lcm'), noise.initial, schedule, noise.between, answer)).data
    const mean = x.reduce((sum, value) => sum + value, 0) / count
    const deviation = Math.sqrt(x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count)
    // The last estimate is m + g (x - alpha m), x = alpha x0' + sigma z; the chain of variances is computed exactly.
    let variance = 0
    for (const { alpha, sigma } of schedule.levels.slice(0, -1)) {
      const gain = (alpha * DEVIATION ** 2) / ((alpha * DEVIATION) ** 2 + sigma ** 2)
      variance = gain ** 2 * (alpha ** 2 * variance + sigma ** 2)
    }
    expect(Math.abs(mean - MEAN)).toBeLessThan(5 * Math.sqrt(variance / count) + 1e-4)
    expect(Math.abs(deviation / Math.sqrt(variance) - 1)).toBeLessThan(5 / Math.sqrt(2 * count) + 1e-3)
  })
})

describe('company', () => {
  test('fifty mixed requests, interleaved at random, have the bits of each alone', () => {
    const shape = [4, 3]
    const requests = Array.from({ length: 50 }, (_, i) => {
      const run = runs[(i * 7) % runs.length]
      if (run === undefined) throw new Error('no run')
      const noise = i % 5 === 0 ? torchNoise : philoxNoise
      return { ...run, seed: 100 + (i % 9), noise }
    })
    const alone = requests.map(({ sampler, schedule, seed, noise }) => {
      const source = noise(seed, shape)
      return asHost(runSampler(sampler, source.initial, schedule, source.between, answer)).data
    })
    for (let order = 0; order < 4; order++) {
      const random = new Uint32Array(philoxNormals(order, 77n, 20_000).buffer)
      const active: { readonly index: number; readonly run: SamplerRun }[] = requests.map((request, index) => {
        const source = request.noise(request.seed, shape)
        return { index, run: startSampler(request.sampler, source.initial, request.schedule, source.between) }
      })
      for (let turn = 0; active.length > 0; turn++) {
        const pick = (random[turn % random.length] ?? 0) % active.length
        const [picked] = active.slice(pick, pick + 1)
        if (picked === undefined) throw new Error('nothing picked')
        if (picked.run.request !== undefined) {
          picked.run.resume(answer(picked.run.request))
          continue
        }
        if (picked.run.result === undefined) throw new Error('no result')
        expect(asHost(picked.run.result).data, `request ${picked.index}`).toEqual(alone[picked.index])
        active.splice(pick, 1)
      }
    }
  })
})

describe('symbols', () => {
  test.each(runs)('$name: coefficients replay to what the host computes, edits included', ({ sampler, schedule }) => {
    const noise = philoxNoise(4, [6])
    const mark = hostLatent(philoxNormals(4, 5n, 6))
    /** Edits every other latent, as inpainting does, so that x asked and x answered differ. */
    const editing = (request: SamplerRequest, index: number): SamplerReply => {
      const x = index % 2 === 1 ? lincomb([0.9, asHost(request.x)], [0.1, mark]) : asHost(request.x)
      const x0 = denoise(x, request.level)
      return { x, x0, uncond: lincomb([0.9, x0]) }
    }
    const trace = traceSampler(sampler, schedule)
    const asked: SamplerRequest[] = []
    const direct = asHost(
      runSampler(sampler, noise.initial, schedule, noise.between, (request, index) => {
        asked.push(request)
        return editing(request, index)
      }),
    )
    expect(trace.requests.map(({ level }) => level)).toEqual(asked.map(({ level }) => level))
    const replayed = asHost(replayTrace(trace, noise.initial, noise.between, editing))
    // Where the host rounds between two combinations the replay does not: a few float32 roundings per step.
    const scale = Math.max(1, ...direct.data.map(Math.abs))
    direct.data.forEach((value, i) => {
      expect(Math.abs(value - (replayed.data[i] ?? Number.NaN))).toBeLessThan(2 ** -22 * trace.requests.length * scale)
    })
  })

  test.each(runs)('$name: as many outer requests as steps', ({ sampler, schedule }) => {
    const { requests } = traceSampler(sampler, schedule)
    expect(requests.filter(({ inner }) => !inner)).toHaveLength(schedule.steps().length)
    expect(requests[0]?.inner).toBeUndefined()
  })

  test('a step looks back no further than its method does', () => {
    const reach = (name: SamplerName) => {
      const trace = traceSampler(createSampler(name), evenSchedule(8))
      const back = trace.requests.flatMap(({ x }, i) => x.filter(({ of }) => of === 'x0').map(({ index }) => i - index))
      return Math.max(...back)
    }
    expect(reach('euler')).toBe(1)
    expect(reach('heun')).toBe(2)
    expect(reach('dpmpp2m')).toBe(2)
  })

  test('deterministic samplers use no noise, ancestral ones one per step but the last', () => {
    expect(traceSampler(createSampler('dpmpp2m'), evenFlow(6)).noises).toHaveLength(0)
    expect(traceSampler(createSampler('eulerAncestral'), evenFlow(6)).noises).toHaveLength(5)
  })
})

describe('edits between steps', () => {
  /** They join the slopes of several steps, and a slope is of the latent it was taken at. */
  const ofSlopes = /^(lms|pndm|deis)/
  test.each(runs.filter(({ name }) => !ofSlopes.test(name)))(
    '$name goes on from the edited latent',
    ({ sampler, schedule }) => {
      const noise = philoxNoise(6, [1])
      const last = traceSampler(sampler, schedule).requests.length - 1
      const run = (edit: (value: number, index: number) => number, x0: number) =>
        asHost(
          runSampler(sampler, single(0.3), schedule, noise.between, (request, index) => ({
            x: single(edit(asHost(request.x).data[0] ?? Number.NaN, index)),
            x0: single(x0),
          })),
        ).data[0] ?? Number.NaN
      // With x0 fixed the result depends on the edited x only; overwriting it at the last request forgets all before.
      const overwritten = run((value, index) => (index === last ? 2 : value), 0.5)
      const twice = run((_, index) => (index === last ? 2 : 77), 0.5)
      expect(overwritten).toBeCloseTo(twice, 5)
    },
  )
})
