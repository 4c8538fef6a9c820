/** Noise sources: pure in (seed, interval), and the order in which diffusers draws. */

import { describe, expect, test } from 'vitest'
import type { Level } from '../../../src/samplers/level'
import { philoxNoise, torchNoise } from '../../../src/samplers/noise'
import { torchRandom } from '../../../src/tensor/torchRandom'
import { evenFlow, evenSchedule } from './gaussian'

const pairs = evenSchedule(30).steps()
const shape = [3, 5]

describe.each([
  ['philox', philoxNoise],
  ['torch', torchNoise],
])('%s', (_, source) => {
  test('the same interval gives the same noise, however often it is asked', () => {
    const noise = source(8, shape)
    const first = pairs.map(([from, to]) => noise.between(from, to).data)
    const again = [...pairs].reverse().map(([from, to]) => noise.between(from, to).data)
    expect(again.reverse()).toEqual(first)
    expect(noise.initial.shape).toEqual(shape)
  })

  test('intervals, directions and the start differ', () => {
    const noise = source(8, shape)
    const all = [...pairs, ...evenFlow(30).steps(), ...pairs.map(([from, to]) => [to, from] as const)]
    const firsts = new Set(all.map(([from, to]) => noise.between(from, to).data[0]))
    firsts.add(noise.initial.data[0])
    expect(firsts.size).toBe(all.length + 1)
  })

  test('bad seeds are refused', () => {
    expect(() => source(-1, shape)).toThrowError(expect.objectContaining({ code: 'invalid-option' }))
    expect(() => source(Number.NaN, shape)).toThrowError(expect.objectContaining({ code: 'invalid-option' }))
  })
})

test('philox: no matter the order, the source or what else was asked', () => {
  const one = philoxNoise(8, shape)
  const two = philoxNoise(8n, shape)
  const forward = pairs.map(([from, to]) => one.between(from, to).data)
  const backward = [...pairs].reverse().map(([from, to]) => two.between(from, to).data)
  expect(backward.reverse()).toEqual(forward)
  const copy = (level: Level): Level => ({ ...level, t: 0 }) // the time told to the network is no part of the interval
  expect(pairs.map(([from, to]) => two.between(copy(from), copy(to)).data)).toEqual(forward)
})

test('torch: the initial latent, then one draw per new interval', () => {
  const random = torchRandom(8)
  const noise = torchNoise(8, shape)
  expect(noise.initial.data).toEqual(random.randn(15))
  for (const [from, to] of pairs) expect(noise.between(from, to).data).toEqual(random.randn(15))
})
