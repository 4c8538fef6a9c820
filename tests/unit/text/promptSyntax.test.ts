/** Weights are read as AUTOMATIC1111's web UI documents them; expected values are its own, or follow from its rules. */

import { describe, expect, it } from 'vitest'
import { parsePrompt } from '../../../src/text/promptSyntax'

type Short = readonly [string, number] | 'BREAK'
const short = (prompt: string): Short[] =>
  parsePrompt(prompt, 'weights').map((part) => (part.kind === 'break' ? 'BREAK' : [part.text, part.weight]))

describe('parsePrompt', () => {
  // The examples in the web UI's documentation of its parser, to the last bit.
  it.each<[string, Short[]]>([
    ['normal text', [['normal text', 1]]],
    [
      'an (important) word',
      [
        ['an ', 1],
        ['important', 1.1],
        [' word', 1],
      ],
    ],
    ['(unbalanced', [['unbalanced', 1.1]]],
    ['\\(literal\\]', [['(literal]', 1]]],
    ['(unnecessary)(parens)', [['unnecessaryparens', 1.1]]],
    [
      'a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).',
      [
        ['a ', 1],
        ['house', 1.5730000000000004],
        [' ', 1.1],
        ['on', 1],
        [' a ', 1.1],
        ['hill', 0.55],
        [', sun, ', 1.1],
        ['sky', 1.4641000000000006],
        ['.', 1.1],
      ],
    ],
  ])('%s', (prompt, want) => expect(short(prompt)).toEqual(want))

  it.each<[string, string, Short[]]>([
    ['an empty prompt is nothing', '', []],
    ['brackets about nothing are nothing', '()[](:1.5)', []],
    ['round brackets multiply', '((a))', [['a', 1.1 * 1.1]]],
    [
      'square brackets divide',
      '[a] [[b]]',
      [
        ['a', 1 / 1.1],
        [' ', 1],
        ['b', (1 / 1.1) * (1 / 1.1)],
      ],
    ],
    ['a number stands instead of 1.1', '(a:1.5)', [['a', 1.5]]],
    [
      'numbers have signs, no leading digit, spaces about',
      '(a:-.5)(b: +2 )',
      [
        ['a', -0.5],
        ['b', 2],
      ],
    ],
    [
      'numbers multiply',
      '((a:2) b:3)',
      [
        ['a', 6],
        [' b', 3],
      ],
    ],
    [
      'one kind in the other',
      '([a])[(b:2)]',
      [
        ['a', (1 / 1.1) * 1.1],
        ['b', 2 / 1.1],
      ],
    ],
    ['a weight in square brackets is text', '[a:2]', [['a:2', 1 / 1.1]]],
    ['a weight outside brackets is text', 'a:1.2) b', [['a:1.2) b', 1]]],
    ['a closing bracket alone is text', 'a) b]', [['a) b]', 1]]],
    [
      'an opening one reaches to the end',
      'a [b (c',
      [
        ['a ', 1],
        ['b ', 1 / 1.1],
        ['c', 1.1 * (1 / 1.1)],
      ],
    ],
    [
      'colons are text',
      'a: b :: (c:d)',
      [
        ['a: b :: ', 1],
        ['c:d', 1.1],
      ],
    ],
    [
      'escapes',
      '\\(a\\) \\[b\\] \\\\ (c\\):2)',
      [
        ['(a) [b] \\ ', 1],
        ['c)', 2],
      ],
    ],
    ['a backslash before a letter goes', '\\a b\\', [['a b', 1]]],
    ['full-width brackets are text', '（赤いりんご：1.2）', [['（赤いりんご：1.2）', 1]]],
    [
      'a weighted word of another script',
      '(赤い:1.2)りんご',
      [
        ['赤い', 1.2],
        ['りんご', 1],
      ],
    ],
    ['equal weights are joined', '(a)(b:1.1)', [['ab', 1.1]]],
    ['BREAK splits and takes the whitespace along', 'a  BREAK\nb', [['a', 1], 'BREAK', ['b', 1]]],
    ['BREAK inside brackets', '(a BREAK b:2)', [['a', 2], 'BREAK', ['b', 2]]],
    ['BREAK at the ends and twice', 'BREAK a BREAK BREAK', ['BREAK', ['a', 1], 'BREAK', 'BREAK']],
    [
      'BREAK in a word is none',
      'BREAKFAST aBREAK 朝BREAK BREAK_1 break',
      [['BREAKFAST aBREAK 朝BREAK BREAK_1 break', 1]],
    ],
  ])('%s', (_, prompt, want) => expect(short(prompt)).toEqual(want))

  it('plain leaves everything as it is', () => {
    const prompt = 'a (b:1.2) [c] BREAK \\(d\\) (e:1.2.3)'
    expect(parsePrompt(prompt, 'plain')).toEqual([{ kind: 'text', text: prompt, weight: 1 }])
    expect(parsePrompt('', 'plain')).toEqual([])
  })

  it.each([
    ['a (cat:1.2.3)', 7, /^prompt: at character 7: expected a number as weight, got 1\.2\.3$/],
    ['(a:.)', 3, /got \.$/],
    [`(a:${'9'.repeat(400)})`, 3, /expected a number/],
    [`((a:${'9'.repeat(30)}):${'9'.repeat(30)})`, 3, /expected weights whose product is a number, got 1\.0/],
    [`${'(['.repeat(50)}(a`, 101, /expected at most 100 brackets open at once, got one more/],
  ])('%s is malformed at character %i', (prompt, at, message) => {
    const error = expect.objectContaining({
      code: 'invalid-option',
      context: expect.objectContaining({ position: at - 1 }),
    })
    expect(() => parsePrompt(prompt, 'weights')).toThrow(error)
    expect(() => parsePrompt(prompt, 'weights')).toThrow(message)
    expect(() => parsePrompt(prompt, 'weights', 'negativePrompt')).toThrow(/^negativePrompt: at character/)
  })

  it('takes the longest prompts of brackets in stride', { retry: 2 }, () => {
    const started = performance.now()
    for (const piece of [
      '(a',
      ' ',
      '(a)'.repeat(90),
      '(a)',
      '[a',
      ')',
      ': ',
      '\\',
      'BREAK ',
      '(:',
      '((((((((((a))))))))))',
    ]) {
      const prompt = piece.repeat(Math.floor(20_000 / piece.length))
      try {
        parsePrompt(prompt, 'weights')
      } catch (error) {
        expect(error).toMatchObject({ code: 'invalid-option' })
      }
    }
    expect(performance.now() - started).toBeLessThan(1500)
  })
})
