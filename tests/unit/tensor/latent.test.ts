/** Latents: linear combinations on the host and on symbols. */

import { describe, expect, test } from 'vitest'
import { asHost, asSymbolic, hostLatent, lincomb, symbol } from '../../../src/tensor/latent'

describe('host', () => {
  test('combines in float64 and rounds once', () => {
    const a = hostLatent(Float32Array.of(2 ** 24, 1), [1, 2])
    const b = hostLatent(Float32Array.of(1, 3), [1, 2])
    // 2^24 + 1 + 1 is 2^24 in float32 arithmetic; the exact sum 2^24 + 2 is representable.
    const sum = lincomb([1, a], [1, b], [1, b])
    expect([...sum.data]).toEqual([2 ** 24 + 2, 7])
    expect(sum.shape).toEqual([1, 2])
  })

  test('leaves its operands alone and makes a new array even for 1 x', () => {
    const a = hostLatent(Float32Array.of(1, 2))
    const copy = lincomb([1, a])
    expect(copy.data).not.toBe(a.data)
    expect([...lincomb([3, a]).data]).toEqual([3, 6])
    expect([...a.data]).toEqual([1, 2])
  })

  test('a zero coefficient drops its term, infinities and all', () => {
    const infinite = hostLatent(Float32Array.of(Number.POSITIVE_INFINITY, Number.NaN))
    const finite = hostLatent(Float32Array.of(1, 2))
    expect([...lincomb([0, infinite], [2, finite]).data]).toEqual([2, 4])
  })

  test('all coefficients zero gives zeros of the shape', () => {
    const a = hostLatent(Float32Array.of(1, Number.POSITIVE_INFINITY), [2, 1])
    const zero = lincomb([0, a], [0, a])
    expect([...zero.data]).toEqual([0, 0])
    expect(zero.shape).toEqual([2, 1])
  })

  test('wrong sizes are errors', () => {
    const shapeMismatch = expect.objectContaining({ code: 'shape-mismatch' })
    expect(() => hostLatent(new Float32Array(3), [2, 2])).toThrowError(shapeMismatch)
    const a = hostLatent(new Float32Array(4), [2, 2])
    const b = hostLatent(new Float32Array(4), [4])
    expect(() => lincomb([1, a], [1, b])).toThrowError(shapeMismatch)
  })
})

describe('symbols', () => {
  test('collects coefficients', () => {
    const x = symbol('x')
    const z = symbol('z')
    const y = lincomb([0.5, x], [2, z])
    expect([...lincomb([4, y], [1, x], [-1, z]).coefficients]).toEqual([
      ['x', 3],
      ['z', 7],
    ])
  })
})

test('spaces do not mix and coefficients are finite', () => {
  const invalid = expect.objectContaining({ code: 'invalid-argument' })
  const host = hostLatent(Float32Array.of(1))
  expect(() => lincomb<typeof host | ReturnType<typeof symbol>>([1, host], [1, symbol('x')])).toThrowError(invalid)
  expect(() => lincomb([Number.NaN, host])).toThrowError(invalid)
  expect(() => lincomb([Number.POSITIVE_INFINITY, host])).toThrowError(invalid)
  expect(() => lincomb()).toThrowError(invalid)
  expect(() => asHost(symbol('x'))).toThrowError(invalid)
  expect(() => asSymbolic(host)).toThrowError(invalid)
})
