/** Guidance: its formula, its interval, its rescaling, its checks. */

import { describe, expect, test } from 'vitest'
import {
  applyGuidance,
  checkGuidance,
  type Guidance,
  guidanceScaleAt,
  guide,
  rescaleGuided,
} from '../../../src/samplers/guidance'
import { flowLevel, preservingLevel } from '../../../src/samplers/level'
import { PREDICTIONS } from '../../../src/samplers/prediction'
import { hostLatent } from '../../../src/tensor/latent'

const uncond = hostLatent(Float32Array.of(1, -2, 0.5, 3))
const cond = hostLatent(Float32Array.of(2, -1, 0.25, -1))
const level = preservingLevel(2, 0)

const deviation = (values: Float32Array) => {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length
  return Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length)
}

test('u + w (c - u)', () => {
  expect([...guide(uncond, cond, 3).data]).toEqual([4, 1, -0.25, -9])
  expect([...guide(uncond, cond, 0).data]).toEqual([...uncond.data])
})

test('is the same on outputs and on x0', () => {
  const x = hostLatent(Float32Array.of(0.1, 0.2, 0.3, 0.4))
  const { epsilon } = PREDICTIONS
  const onOutput = epsilon.toX0(guide(uncond, cond, 4), x, level)
  const onX0 = guide(epsilon.toX0(uncond, x, level), epsilon.toX0(cond, x, level), 4)
  onOutput.data.forEach((value, i) => {
    expect(onX0.data[i]).toBeCloseTo(value, 4)
  })
})

describe('rescaling', () => {
  const guided = guide(uncond, cond, 6)

  test('brings the deviation back to that of the conditional output', () => {
    expect(deviation(rescaleGuided(guided, cond, 1).data)).toBeCloseTo(deviation(cond.data), 5)
    const factor = (0.7 * deviation(cond.data)) / deviation(guided.data) + 0.3
    rescaleGuided(guided, cond, 0.7).data.forEach((value, i) => {
      expect(value).toBeCloseTo(factor * (guided.data[i] ?? 0), 5)
    })
  })

  test('leaves a constant output as it is', () => {
    const constant = hostLatent(Float32Array.of(2, 2, 2, 2))
    expect([...rescaleGuided(constant, cond, 0.7).data]).toEqual([2, 2, 2, 2])
  })

  test('is part of applyGuidance', () => {
    const plain = applyGuidance(uncond, cond, { scale: 6 }, level).data
    const rescaled = applyGuidance(uncond, cond, { scale: 6, rescale: 1 }, level).data
    expect([...plain]).toEqual([...guided.data])
    expect(deviation(rescaled)).toBeCloseTo(deviation(cond.data), 5)
  })
})

test('outside its interval the scale is 1 and the conditional output comes back', () => {
  const guidance: Guidance = { scale: 5, interval: [0.5, 3] }
  expect(guidanceScaleAt(guidance, preservingLevel(2, 0))).toBe(5)
  expect(guidanceScaleAt(guidance, preservingLevel(0.5, 0))).toBe(1)
  expect(guidanceScaleAt(guidance, preservingLevel(3.01, 0))).toBe(1)
  expect(guidanceScaleAt(guidance, flowLevel(1, 0))).toBe(1)
  expect(guidanceScaleAt({ scale: 5 }, flowLevel(1, 0))).toBe(5)
  expect(applyGuidance(uncond, cond, guidance, preservingLevel(4, 0))).toBe(cond)
})

test.each<[unknown, string]>([
  [{ scale: Number.NaN }, 'invalid-option'],
  [{ scale: -1 }, 'invalid-option'],
  [{ scale: 2, rescale: 1.5 }, 'invalid-option'],
  [{ scale: 2, rescale: Number.NaN }, 'invalid-option'],
  [{ scale: 2, interval: [3, 1] }, 'invalid-option'],
  [{ scale: 2, interval: [Number.NaN, 1] }, 'invalid-option'],
  [{ scale: 2, rescal: 0.7 }, 'unknown-option'],
])('%j is refused', (guidance, code) => {
  expect(() => checkGuidance(guidance as Guidance)).toThrowError(expect.objectContaining({ code }))
})
