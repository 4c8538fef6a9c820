/** Schedules: tables, spacings and curves against published values; levels between entries; checks. */

import { describe, expect, test } from 'vitest'
import { explodingLevel, flowLevel, type Level, lambda, noiseRatio } from '../../../src/samplers/level'
import { makeSchedule, startAt } from '../../../src/samplers/schedule'
import { alignYourSteps } from '../../../src/samplers/schedules/alignYourSteps'
import { betaQuantile } from '../../../src/samplers/schedules/betaQuantile'
import { betaSigmas } from '../../../src/samplers/schedules/betaSigmas'
import { edmSchedule } from '../../../src/samplers/schedules/edm'
import { exponential } from '../../../src/samplers/schedules/exponential'
import { flowSchedule, multistepFlowSigmas, shiftFlow, tableFlowSigmas } from '../../../src/samplers/schedules/flow'
import { karras } from '../../../src/samplers/schedules/karras'
import { lcmGrid } from '../../../src/samplers/schedules/lcmGrid'
import { multistepTimesteps, roundHalfEven, SPACINGS, spacedTimesteps } from '../../../src/samplers/schedules/spaced'
import { TABLE_PLACINGS } from '../../../src/samplers/schedules/tablePlacings'
import { trainingTable } from '../../../src/samplers/schedules/trainingTable'
import { evenFlow, evenSchedule, SD_TABLE } from './gaussian'

const close = (got: readonly number[], want: readonly number[], digits: number) => {
  expect(got).toHaveLength(want.length)
  got.forEach((value, i) => {
    expect(value, `[${i}]`).toBeCloseTo(want[i] ?? Number.NaN, digits)
  })
}

describe('training tables', () => {
  test('scaled_linear of Stable Diffusion', () => {
    expect(SD_TABLE.abar[0]).toBeCloseTo(0.99915, 6)
    expect(SD_TABLE.abar[999]).toBeCloseTo(0.0046601, 6)
    expect(SD_TABLE.ratioAt(0)).toBeCloseTo(0.0291672, 6)
    expect(SD_TABLE.ratioAt(999)).toBeCloseTo(14.6146, 3)
  })

  test('zero terminal SNR ends in pure noise and keeps the first entry', () => {
    const table = trainingTable({
      schedule: 'scaled_linear',
      betaStart: 0.00085,
      betaEnd: 0.012,
      timesteps: 1000,
      zeroTerminalSnr: true,
    })
    expect(table.abar[0]).toBeCloseTo(0.99915, 6)
    expect(table.abar[499]).toBeCloseTo(0.242359, 4)
    expect((table.abar[998] ?? 0) * 1e7).toBeCloseTo(1.968, 2)
    expect(table.abar[999]).toBe(0)
    expect(table.at(Number.NEGATIVE_INFINITY)).toEqual({ alpha: 0, sigma: 1, t: 999 })
  })

  test('linear and cosine', () => {
    const linear = {
      schedule: 'linear',
      betaStart: 0.0001,
      betaEnd: 0.02,
      timesteps: 1000,
      zeroTerminalSnr: false,
    } as const
    expect(trainingTable(linear).abar[999]).toBeCloseTo(4.0358e-5, 8)
    const cosine = trainingTable({ ...linear, schedule: 'squaredcos_cap_v2' })
    const f = (u: number) => Math.cos((((u + 0.008) / 1.008) * Math.PI) / 2) ** 2
    expect(cosine.abar[499]).toBeCloseTo(f(0.5) / f(0), 5)
    const betas = [0.5, 0.5, 0.75]
    close([...trainingTable({ ...linear, betas }).abar], [0.5, 0.25, 0.0625], 12)
  })
})

const ZERO_SNR_TABLE = trainingTable({
  schedule: 'scaled_linear',
  betaStart: 0.00085,
  betaEnd: 0.012,
  timesteps: 1000,
  zeroTerminalSnr: true,
})

describe('levels between entries', () => {
  test.each([
    ['plain', SD_TABLE],
    ['zero terminal SNR', ZERO_SNR_TABLE],
  ])('%s: at() hits the entries and runs monotonically and continuously through them', (_, table) => {
    for (const t of [0, 1, 2, 500, 998, 999]) {
      expect(table.at(lambda(table.levelAt(t))).t, `t = ${t}`).toBeCloseTo(t, 3)
    }
    const from = -Math.log(table.ratioAt(998)) - 3
    const to = -Math.log(table.ratioAt(0))
    let previous = table.at(from)
    const n = 8000
    for (let i = 1; i <= n; i++) {
      const level = table.at(from + ((to - from) * i) / n)
      expect(level.t).toBeLessThanOrEqual(previous.t)
      expect(previous.t - level.t).toBeLessThan(1)
      expect(level.alpha ** 2 + level.sigma ** 2).toBeCloseTo(1, 12)
      previous = level
    }
  })

  test('lambda is kept; noisier than the table is cut, cleaner is not', () => {
    expect(lambda(SD_TABLE.at(0.3))).toBeCloseTo(0.3, 12)
    expect(noiseRatio(SD_TABLE.at(-5))).toBeCloseTo(SD_TABLE.ratioAt(999), 9)
    expect(SD_TABLE.at(-5).t).toBe(999)
    expect(lambda(SD_TABLE.at(6))).toBeCloseTo(6, 12)
    expect(SD_TABLE.at(6).t).toBe(0)
  })

  test('a flow schedule is its own inverse', () => {
    const { at } = evenFlow(4)
    for (const s of [1, 0.999, 0.5, 0.25, 1e-6]) {
      const level = at(lambda(flowLevel(s, 0)))
      expect(level.sigma).toBeCloseTo(s, 12)
      expect(level.alpha).toBeCloseTo(1 - s, 12)
      expect(level.t).toBeCloseTo(1000 * s, 9)
    }
    expect(at(Number.POSITIVE_INFINITY)).toEqual({ alpha: 1, sigma: 0, t: 0 })
  })
})

describe('levels in logarithms and at shares of a time', () => {
  test.each([
    ['plain', SD_TABLE],
    ['zero terminal SNR', ZERO_SNR_TABLE],
  ])('%s: timeOf is the inverse of logLevelAt', (_, table) => {
    for (const t of [0, 0.3, 12, 499.5, 998, 998.4, 999]) {
      const level = table.logLevelAt(t)
      expect(table.timeOf(noiseRatio(level)), `t = ${t}`).toBeCloseTo(t, 4)
      expect(level.alpha ** 2 + level.sigma ** 2).toBeCloseTo(1, 12)
    }
  })

  test('a share of the time: an entry of a table, a share of s, a share of sigma; clean data stays', () => {
    const { alpha, sigma, t } = SD_TABLE.atShare(SD_TABLE.levelAt(259), 0.7)
    expect(t).toBe(181)
    expect(sigma / alpha).toBeCloseTo(SD_TABLE.ratioAt(181), 5)
    expect(evenFlow(4).atShare(flowLevel(0.8, 800), 0.25)).toEqual(flowLevel(0.2, 200))
    expect(edmSchedule(4).atShare(explodingLevel(10, 0), 0.5)).toMatchObject({ alpha: 1, sigma: 5 })
    const clean = { alpha: 1, sigma: 0, t: 0 }
    for (const curve of [SD_TABLE, evenFlow(4), edmSchedule(4)]) expect(curve.atShare(clean, 0.5).sigma).toBe(0)
  })
})

describe('spacings', () => {
  test('published timesteps', () => {
    const ends = (list: readonly number[]) => [...list.slice(0, 3), ...list.slice(-2)]
    expect(ends(spacedTimesteps('linspace', 1000, 20, 0, true))).toEqual([999, 946, 894, 53, 0])
    expect(ends(spacedTimesteps('leading', 1000, 20, 1, true))).toEqual([951, 901, 851, 51, 1])
    expect(ends(spacedTimesteps('trailing', 1000, 20, 0, true))).toEqual([999, 949, 899, 99, 49])
    expect(multistepTimesteps('linspace', 1000, 1000, 10, 0)).toEqual([
      999, 899, 799, 699, 599, 500, 400, 300, 200, 100,
    ])
    expect(multistepTimesteps('leading', 1000, 1000, 10, 1)).toEqual([901, 811, 721, 631, 541, 451, 361, 271, 181, 91])
  })

  test.each(SPACINGS)('%s gives n falling timesteps of the table, whatever n', (spacing) => {
    for (let n = 1; n <= 1000; n++) {
      for (const list of [
        spacedTimesteps(spacing, 1000, n, 0, true),
        n < 1000 ? multistepTimesteps(spacing, 1000, 1000, n, 0) : [],
      ]) {
        if (list.length === 0) continue
        expect(list).toHaveLength(n)
        expect(
          list.every((t, i) => Number.isInteger(t) && t >= 0 && t < (list[i - 1] ?? 1000)),
          `n = ${n}`,
        ).toBe(true)
      }
    }
  })

  test('halves round to even', () => {
    expect([0.5, 1.5, 2.5, 2.49, 2.51, 3].map(roundHalfEven)).toEqual([0, 2, 2, 2, 3, 3])
  })
})

describe('curves', () => {
  test('karras', () => {
    const want = [14.6146, 9.1029, 5.4784, 3.1686, 1.7494, 0.9141, 0.4469, 0.2014, 0.0819, 0.0292]
    close(karras(14.6146412, 0.0291672, 10), want, 4)
    close(karras(10, 1, 1), [10], 12)
  })

  test('exponential', () => {
    const want = [14.6146, 7.3249, 3.6712, 1.84, 0.9222, 0.4622, 0.2317, 0.1161, 0.0582, 0.0292]
    close(exponential(14.6146412, 0.0291672, 10), want, 4)
  })

  test('beta quantiles along noise ratios', () => {
    const want = [14.6146, 13.9278, 12.491, 10.5976, 8.4424, 6.2014, 4.0462, 2.1528, 0.716, 0.0292]
    close(betaSigmas(14.6146412, 0.0291672, 10), want, 4)
    close(betaSigmas(10, 1, 1), [10], 12)
  })

  test('quantiles of Beta(0.6, 0.6) are symmetric and end at 0 and 1', () => {
    expect([0, 0.5, 1].map((p) => betaQuantile(p, 0.6))).toEqual([0, expect.closeTo(0.5, 12), 1])
    for (const p of [1e-9, 0.001, 0.2, 0.49]) {
      expect(betaQuantile(p, 0.6) + betaQuantile(1 - p, 0.6)).toBeCloseTo(1, 9)
      expect(betaQuantile(p, 1)).toBeCloseTo(p, 9) // the uniform distribution
    }
  })

  test("ComfyUI's placings", () => {
    const ratios = (timesteps: readonly number[]) => timesteps.map((t) => noiseRatio(SD_TABLE.logLevelAt(t)))
    const first5 = (list: readonly number[]) => list.slice(0, 5)
    expect(TABLE_PLACINGS.beta(1000, 10)).toEqual([999, 959, 876, 765, 637, 500, 362, 234, 123, 40])
    close(first5(ratios(TABLE_PLACINGS.simple(1000, 10))), [14.6146, 8.3028, 5.0878, 3.3211, 2.2765], 4)
    close(first5(ratios(TABLE_PLACINGS.normal(1000, 10))), [14.6146, 7.8399, 4.6092, 2.9183, 1.9502], 4)
    close(first5(ratios(TABLE_PLACINGS.sgmUniform(1000, 10))), [14.6146, 8.3072, 5.0924, 3.3251, 2.2797], 4)
    const uniform = ratios(TABLE_PLACINGS.ddimUniform(1000, 10))
    close([uniform[0] ?? 0, uniform[1] ?? 0, uniform[9] ?? 0], [8.3907, 5.1344, 0.0413], 4)
  })

  test.each(['normal', 'sgmUniform', 'simple', 'ddimUniform'] as const)('%s gives n falling timesteps', (name) => {
    for (const [T, n] of [
      [1000, 1],
      [1000, 7],
      [1000, 1000],
      [1, 1],
    ] as const) {
      const list = TABLE_PLACINGS[name](T, n)
      expect(list).toHaveLength(n)
      expect(list.every((t, i) => t >= 0 && t < (list[i - 1] ?? T))).toBe(true)
    }
  })

  test('beta leaves repeated timesteps out', () => {
    const list = TABLE_PLACINGS.beta(1000, 500)
    expect(list.length).toBeLessThan(500)
    expect(new Set(list).size).toBe(list.length)
  })

  test('Align Your Steps: the published ten, and between them linear in the logarithm', () => {
    expect(alignYourSteps('ays', 10)).toEqual([14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152])
    expect(alignYourSteps('aysSdxl', 5)).toEqual([14.615, 3.771, 1.342, 0.555, 0.234])
    const twenty = alignYourSteps('ays', 20)
    expect(twenty[1]).toBeCloseTo(Math.sqrt(14.615 * 6.475), 9)
    expect(twenty[19]).toBeCloseTo(Math.sqrt(0.152 * 0.029), 9)
  })

  test('LCM grid', () => {
    expect(lcmGrid(1000, 50, 1, 1)).toEqual([999])
    expect(lcmGrid(1000, 50, 4, 1)).toEqual([999, 759, 499, 259])
    expect(lcmGrid(1000, 50, 8, 1)).toEqual([999, 879, 759, 639, 499, 379, 259, 139])
    expect(() => lcmGrid(1000, 50, 26, 0.5)).toThrowError(expect.objectContaining({ code: 'invalid-option' }))
  })

  test('flow', () => {
    expect(shiftFlow(0.5, 3)).toBeCloseTo(0.75, 12)
    const mu = Math.exp(0.63)
    close(
      [1, 0.75, 0.5, 0.25].map((s) => shiftFlow(s, mu)),
      [1, 0.8492, 0.6525, 0.3849],
      4,
    )
    const twice = tableFlowSigmas(1000, 28, 3).map((s) => shiftFlow(s, 3))
    expect(twice[27]).toBeCloseTo(0.008929, 6)
    expect(multistepFlowSigmas(1000, 10, 1)[0]).toBeCloseTo(0.999, 12)
  })
})

describe('schedules', () => {
  const levels: readonly Level[] = [flowLevel(1, 3), flowLevel(0.5, 2), flowLevel(0, 1)]
  const curve = evenFlow(2)

  test('steps are pairs of neighbours; a late start keeps the levels', () => {
    const schedule = makeSchedule('flow', levels, curve)
    expect(schedule.steps()).toEqual([
      [levels[0], levels[1]],
      [levels[1], levels[2]],
    ])
    const late = startAt(schedule, 1)
    expect(late.levels).toBe(schedule.levels)
    expect(late.first).toBe(1)
    expect(late.steps()).toEqual([[levels[1], levels[2]]])
  })

  test.each([-1, 2, 0.5, Number.NaN])('a start at %s is rejected', (index) => {
    const schedule = makeSchedule('flow', levels, curve)
    expect(() => startAt(schedule, index)).toThrowError(expect.objectContaining({ code: 'invalid-option' }))
  })

  test.each<[string, readonly Level[]]>([
    ['too few', levels.slice(0, 1)],
    ['rising noise', [flowLevel(0.5, 1), flowLevel(0.6, 1)]],
    ['clean before the end', [flowLevel(0, 1), flowLevel(0, 1)]],
    ['NaN', [flowLevel(Number.NaN, 1), flowLevel(0, 1)]],
    ['neither data nor noise', [flowLevel(1, 1), { alpha: 0, sigma: 0, t: 0 }]],
    ['negative data', [{ alpha: -0.1, sigma: 1, t: 1 }, flowLevel(0, 1)]],
    ['infinite noise', [explodingLevel(Number.POSITIVE_INFINITY, 1), flowLevel(0, 1)]],
    ['infinite time', [flowLevel(1, Number.POSITIVE_INFINITY), flowLevel(0, 1)]],
  ])('levels with %s are rejected', (_, bad) => {
    expect(() => makeSchedule('flow', bad, curve)).toThrowError(expect.objectContaining({ code: 'invalid-option' }))
  })

  test('levels may hold more than variance 1: exploding, and any mixture whose noise falls', () => {
    const levels = [explodingLevel(80, 3), { alpha: 2, sigma: 3, t: 2 }, explodingLevel(0, 0)]
    expect(makeSchedule('exploding', levels, curve).steps()).toHaveLength(2)
  })

  test('EDM: sigma from 80 to 0.002 by rho 7, then clean; the network is told ln(sigma) / 4', () => {
    const { levels, at, path } = edmSchedule(18)
    expect(path).toBe('exploding')
    expect(levels).toHaveLength(19)
    expect(levels.every(({ alpha }) => alpha === 1)).toBe(true)
    close(
      levels.slice(0, 3).map(({ sigma }) => sigma),
      [80, 57.5859, 40.7856], // the first values of the authors' 18 steps
      3,
    )
    expect(levels[17]?.sigma).toBeCloseTo(0.002, 9)
    expect(levels[18]?.sigma).toBe(0)
    expect(levels[0]?.t).toBeCloseTo(Math.log(80) / 4, 12)
    expect(at(-Math.log(3))).toMatchObject({
      alpha: 1,
      sigma: expect.closeTo(3, 12),
      t: expect.closeTo(Math.log(3) / 4),
    })
    expect(at(Number.POSITIVE_INFINITY)).toBe(levels[18])
    expect(edmSchedule(1, { sigmaMax: 10 }).levels.map(({ sigma }) => sigma)).toEqual([expect.closeTo(10), 0])
  })

  test.each([
    [0, {}],
    [2.5, {}],
    [4, { sigmaMax: Number.NaN }],
    [4, { sigmaMin: 1, sigmaMax: 0.5 }],
    [4, { rho: 0 }],
  ])('an EDM schedule of %s steps with %j is refused', (n, options) => {
    expect(() => edmSchedule(n, options)).toThrowError(expect.objectContaining({ code: 'invalid-option' }))
  })

  test('EDM: the curve may be exponential and the last level repeated', () => {
    const { levels } = edmSchedule(3, { sigmaMax: 100, sigmaMin: 0.01, curve: 'exponential', end: 'repeat' })
    close(
      levels.map(({ sigma }) => sigma),
      [100, 1, 0.01, 0.01],
      9,
    )
  })

  test('flow schedules may end before clean data', () => {
    expect(flowSchedule([1, 0.5], 1000, false, 0.5).levels.map(({ sigma }) => sigma)).toEqual([1, 0.5, 0.5])
  })

  test('flow times can be whole', () => {
    const told = flowSchedule([0.9996, 0.5], 1000, true).levels.map(({ t }) => t)
    expect(told).toEqual([999, 500, 0])
    expect(evenSchedule(3).levels).toHaveLength(4)
  })
})
