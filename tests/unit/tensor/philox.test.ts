/** Philox: known answers, independence of order, accuracy of the functions behind the normals, their distribution. */

import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { checkSeed, cosSinTurn, lnUniform, philox4x32, philoxNormals } from '../../../src/tensor/philox'

describe('philox4x32', () => {
  // Known answers published with the paper (Random123, kat_vectors, philox4x32 with 10 rounds).
  test.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ] as const)('%j', (counter, [key0, key1], want) => {
    expect(philox4x32(counter, key0, key1)).toEqual(want)
  })
})

describe('functions behind the normals', () => {
  const samples = [0, 1, 2, 3, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 2, 2 ** 32 - 1]
  for (let i = 0; i < 3000; i++) samples.push(Math.imul(i, 0x9e3779b9) >>> 0)

  test('ln is within 1e-15 of its value', () => {
    for (const n of samples) {
      const want = n < 2 ** 31 ? Math.log((n + 0.5) / 2 ** 32) : Math.log1p((n + 0.5 - 2 ** 32) / 2 ** 32)
      expect(Math.abs(lnUniform(n) - want) / Math.abs(want), `n = ${n}`).toBeLessThan(1e-15)
    }
  })

  test('cos and sin are within 1e-15', () => {
    for (const n of samples) {
      const [cos, sin] = cosSinTurn(n)
      const angle = (2 * Math.PI * (n + 0.5)) / 2 ** 32
      expect(Math.abs(cos - Math.cos(angle)), `cos, n = ${n}`).toBeLessThan(1e-15)
      expect(Math.abs(sin - Math.sin(angle)), `sin, n = ${n}`).toBeLessThan(1e-15)
    }
  })
})

describe('philoxNormals', () => {
  test('bits never change', () => {
    const bytes = Buffer.from(philoxNormals(7, 3n, 4096).buffer)
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(
      '86a8ac14139993deea608e3b1e23b2c5501556cf6a765061aaabe082317b5d40',
    )
  })

  test('a shorter draw is the beginning of a longer one', () => {
    const long = philoxNormals(42, 9n, 1003)
    for (const count of [0, 1, 2, 3, 4, 5, 17, 1002]) {
      expect(philoxNormals(42, 9n, count)).toEqual(long.slice(0, count))
    }
  })

  test('seeds and streams differ from their first number on', () => {
    const firsts = new Set<number>()
    for (let seed = 0; seed < 40; seed++) {
      for (let stream = 0n; stream < 40n; stream++) firsts.add(philoxNormals(seed, stream, 1)[0] ?? 0)
    }
    expect(firsts.size).toBe(1600)
    const wide = [0n, 1n << 32n, 1n << 63n].map((stream) => philoxNormals(2n ** 64n - 1n, stream, 1)[0])
    expect(new Set(wide).size).toBe(3)
  })

  test('mean, variance, skewness, kurtosis and neighbours are those of independent normals', () => {
    const n = 200_000
    const z = philoxNormals(5, 0n, n)
    const moment = (f: (x: number, i: number) => number) => z.reduce((sum, x, i) => sum + f(x, i), 0) / n
    const spread = 5 / Math.sqrt(n) // five standard errors of a mean of variance 1
    expect(Math.abs(moment((x) => x))).toBeLessThan(spread)
    expect(Math.abs(moment((x) => x ** 2) - 1)).toBeLessThan(spread * Math.sqrt(2))
    expect(Math.abs(moment((x) => x ** 3))).toBeLessThan(spread * Math.sqrt(15))
    expect(Math.abs(moment((x) => x ** 4) - 3)).toBeLessThan(spread * Math.sqrt(96))
    for (const lag of [1, 2, 4, 64]) {
      expect(Math.abs(moment((x, i) => x * (z[i + lag] ?? 0))), `lag ${lag}`).toBeLessThan(spread)
    }
  })
})

describe('checkSeed', () => {
  test.each([0, 7, 2 ** 53 - 1, 0n, 2n ** 64n - 1n])('takes %s', (seed) => {
    expect(checkSeed(seed)).toBe(BigInt(seed))
  })

  test.each([Number.NaN, -1, 1.5, 2 ** 53, Number.POSITIVE_INFINITY, -1n, 2n ** 64n])('rejects %s', (seed) => {
    expect(() => checkSeed(seed)).toThrowError(expect.objectContaining({ code: 'invalid-option' }))
  })
})
