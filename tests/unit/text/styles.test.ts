/** Styles are read from a table of words and put to a prompt in the prompt's language. */

import { describe, expect, it } from 'vitest'
import { type Styles, styledPrompt, unstyledPrompt } from '../../../src/text/styles'

const styles: Styles = {
  default: '3d',
  forms: new Map([
    ['en', '{style} {prompt}'],
    ['ja', '{style}の{prompt}'],
  ]),
  words: new Map([
    [
      '3d',
      new Map([
        ['en', '3d'],
        ['ja', '3d'],
      ]),
    ],
    [
      'flat',
      new Map([
        ['en', 'flat'],
        ['ja', 'フラット'],
      ]),
    ],
  ]),
}

describe('styles', () => {
  it.each([
    ['flat', 'a cat', 'flat a cat'],
    ['flat', '猫', 'フラットの猫'],
    ['3d', 'a cat', 'a cat'],
    ['flat', '', ''],
    ['flat', 'cost: $& {style}', 'flat cost: $& {style}'],
  ])('%s of %s is %s', (style, prompt, want) => {
    expect(styledPrompt(styles, style, prompt)).toBe(want)
  })

  it.each([
    ['flat cat', 'cat'],
    ['cat, Flat style', 'cat,'],
    ['a flatiron', 'a flatiron'],
    ['フラットの猫', '猫'],
    ['フラット風の寿司', '寿司'],
    ['猫 フラット', '猫'],
    ['3dなりんご', 'りんご'],
    ['flat', 'flat'],
    ['a cat', 'a cat'],
  ])('are not part of what %s shows', (prompt, want) => {
    expect(unstyledPrompt(styles, prompt)).toBe(want)
  })

  it('speak the language there is', () => {
    expect(styledPrompt({ ...styles, forms: new Map([['en', '{prompt} {style}']]) }, 'flat', '猫')).toBe('猫 flat')
  })

  it('name the styles there are', () => {
    expect(() => styledPrompt(styles, 'flatt', 'a cat')).toThrow(
      'expected one of 3d, flat, got flatt; did you mean flat?',
    )
  })
})
