/** Styles are read from a table of words and put to a prompt in the prompt's language. */

import { describe, expect, it } from 'vitest'
import { readStyles, styledPrompt } from '../../../src/text/styles'
import { jsonFields } from '../../../src/weights/jsonFields'

const table = {
  default: '3d',
  forms: { en: '{style} {prompt}', ja: '{style}の{prompt}' },
  words: { '3d': { en: '3d', ja: '3d' }, flat: { en: 'flat', ja: 'フラット' } },
}
const styles = readStyles(jsonFields(table, 'irodori.json: styles'))

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

  it('speak the language there is', () => {
    const english = {
      default: '3d',
      forms: { en: '{prompt} {style}' },
      words: { '3d': { en: '3d' }, flat: { en: 'flat' } },
    }
    expect(styledPrompt(readStyles(jsonFields(english, 'styles')), 'flat', '猫')).toBe('猫 flat')
  })

  it('name the styles there are', () => {
    expect(() => styledPrompt(styles, 'flatt', 'a cat')).toThrow(
      'expected one of 3d, flat, got flatt; did you mean flat?',
    )
  })

  it.each([
    [{ ...table, default: 'oil' }, 'default: expected one of 3d, flat'],
    [{ ...table, forms: { en: '{prompt}' } }, 'sentences with {style} and {prompt}'],
    [{ ...table, words: { ...table.words, flat: { en: 'flat' } } }, 'a word for flat in ja'],
    [{ ...table, mood: 'dark' }, 'mood'],
  ])('refuse a table that says too little or too much (%#)', (wrong, message) => {
    expect(() => readStyles(jsonFields(wrong, 'styles'))).toThrow(message)
  })
})
