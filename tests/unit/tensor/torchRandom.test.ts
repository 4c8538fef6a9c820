/** The torch-CPU generator: its engine, its bookkeeping between calls, its seeds. Values are compared in tests/golden. */

import { expect, test } from 'vitest'
import { torchRandom } from '../../../src/tensor/torchRandom'

test('the engine is mt19937: the 10,000th word after the default seed is the one the C++ standard names', () => {
  const random = torchRandom(5489)
  for (let i = 1; i < 10_000; i++) random.nextWord()
  expect(random.nextWord()).toBe(4123659995)
})

test('small draws share pairs: 3 then 5 is 8', () => {
  const whole = torchRandom(3).randn(8)
  const random = torchRandom(3)
  expect([...random.randn(3), ...random.randn(5)]).toEqual([...whole])
})

test('a large draw leaves the kept half of a pair alone', () => {
  const plain = torchRandom(3).randn(2)
  const random = torchRandom(3)
  const first = random.randn(1)
  random.randn(16)
  expect([first[0], random.randn(1)[0]]).toEqual([...plain])
})

test('only the low 32 bits of the seed matter, as in PyTorch', () => {
  expect(torchRandom(2 ** 32 + 9).randn(4)).toEqual(torchRandom(9).randn(4))
})

test('large draws are normal', () => {
  const n = 100_003
  const z = torchRandom(11).randn(n)
  const mean = z.reduce((sum, x) => sum + x, 0) / n
  const variance = z.reduce((sum, x) => sum + x * x, 0) / n
  expect(Math.abs(mean)).toBeLessThan(5 / Math.sqrt(n))
  expect(Math.abs(variance - 1)).toBeLessThan(5 * Math.sqrt(2 / n))
})

test.each([Number.NaN, -1, 0.5, -1n])('seed %s is rejected', (seed) => {
  expect(() => torchRandom(seed)).toThrowError(expect.objectContaining({ code: 'invalid-option' }))
})
