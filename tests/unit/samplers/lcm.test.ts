/** LCM's boundary scalings, which are invisible at the usual times, and its fresh noise. */

import { expect, test } from 'vitest'
import { runSampler } from '../../../src/samplers/drive'
import { lcm } from '../../../src/samplers/lcm'
import { philoxNoise } from '../../../src/samplers/noise'
import { asHost } from '../../../src/tensor/latent'
import { evenFlow, single } from './gaussian'

test('the estimate is c_skip x + c_out x0, noised to the next level', () => {
  const schedule = evenFlow(3)
  const noise = philoxNoise(2, [1])
  const [timestepScaling, sigmaData] = [0.001, 0.8]
  const asked: number[] = []
  const result = runSampler(lcm({ timestepScaling, sigmaData }), single(1.5), schedule, noise.between, ({ x }) => {
    asked.push(asHost(x).data[0] ?? Number.NaN)
    return { x, x0: single(-0.5) }
  })
  const seen = [...asked, asHost(result).data[0] ?? Number.NaN]
  schedule.steps().forEach(([level, next], i) => {
    const tau = timestepScaling * level.t
    const skip = sigmaData ** 2 / (tau ** 2 + sigmaData ** 2)
    const out = tau / Math.sqrt(tau ** 2 + sigmaData ** 2)
    const z = noise.between(level, next).data[0] ?? Number.NaN
    expect(seen[i + 1]).toBeCloseTo(next.alpha * (skip * (seen[i] ?? 0) - 0.5 * out) + next.sigma * z, 5)
  })
  expect(seen).toHaveLength(4)
})

test('at t = 0 the estimate is x itself', () => {
  const { levels } = evenFlow(1)
  const [level, next] = [{ ...(levels[0] ?? { alpha: 0, sigma: 1 }), t: 0 }, levels[1]]
  if (next === undefined) throw new Error('no level')
  const schedule = { ...evenFlow(1), levels: [level, next], steps: () => [[level, next] as const] }
  const result = runSampler(
    lcm(),
    single(1.5),
    schedule,
    () => single(0),
    ({ x }) => ({ x, x0: single(9) }),
  )
  expect(asHost(result).data[0]).toBe(1.5)
})

test('without boundary scalings the estimate is x0', () => {
  const schedule = evenFlow(2)
  const noise = philoxNoise(2, [1])
  const result = runSampler(lcm({ boundary: false }), single(1.5), schedule, noise.between, ({ x }) => ({
    x,
    x0: single(-0.5),
  }))
  expect(asHost(result).data[0]).toBe(-0.5)
})
