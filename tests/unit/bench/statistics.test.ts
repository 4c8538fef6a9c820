import { expect, it } from 'vitest'
import { median, percentile, spread } from '../../../src/bench/statistics'

it('takes percentiles between the two nearest values, in any order', () => {
  const values = [40, 10, 30, 20]
  expect([0, 0.5, 1, 1 / 6].map((share) => percentile(values, share))).toEqual([10, 25, 40, 15])
  expect(values).toEqual([40, 10, 30, 20])
  expect(median([7])).toBe(7)
  expect(median([])).toBeNaN()
  expect(spread([3, 1, 2])).toEqual({ count: 3, min: 1, p10: 1.2, p50: 2, p90: 2.8, max: 3 })
})
