/** Numbers, tables and errors as commands print them. */

import { describe, expect, it } from 'vitest'
import {
  errorLine,
  formatBytes,
  formatCount,
  formatMs,
  formatTable,
  parseNumber,
  parseWhole,
} from '../../../src/cli/output'

describe('output', () => {
  it('prints errors on one line with their code', () => {
    expect(errorLine('io', 'a:\n  b\nc ')).toBe('irodori: io: a:; b; c')
  })

  it('scales numbers', () => {
    expect([0, 999, 1000, 18_257_568].map(formatBytes)).toEqual(['0 B', '999 B', '1.00 kB', '18.3 MB'])
    expect([12, 1_234, 256e9].map(formatCount)).toEqual(['12', '1.23 k', '256 G'])
    expect([3.125, 340, 2149].map(formatMs)).toEqual(['3.1 ms', '340 ms', '2.15 s'])
  })

  it('lines up tables', () => {
    expect(
      formatTable([
        ['a', 'b'],
        ['longer', 'c', 'd'],
      ]),
    ).toBe('a       b\nlonger  c  d')
  })

  it('parses numbers and nothing else', () => {
    expect([parseNumber('2.5'), parseWhole('7'), parseWhole('18446744073709551615')]).toEqual([2.5, 7, 2n ** 64n - 1n])
    for (const text of ['', ' ', 'NaN', 'four', '1e999']) expect(() => parseNumber(text)).toThrow('expected a number')
    for (const text of ['-1', '1.5', '0x10', '']) expect(() => parseWhole(text)).toThrow('expected a whole number')
  })
})
