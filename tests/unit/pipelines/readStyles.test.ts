/** Styles are read from a table of words that must be complete. */

import { describe, expect, it } from 'vitest'
import { readStyles } from '../../../src/pipelines/readStyles'
import { styledPrompt } from '../../../src/text/styles'
import { jsonFields } from '../../../src/weights/jsonFields'

const table = {
  default: '3d',
  forms: { en: '{style} {prompt}', ja: '{style}の{prompt}' },
  words: { '3d': { en: '3d', ja: '3d' }, flat: { en: 'flat', ja: 'フラット' } },
}

describe('styles of a folder', () => {
  it('are what their words say', () => {
    const styles = readStyles(jsonFields(table, 'irodori.json: styles'))
    expect(styledPrompt(styles, 'flat', '猫')).toBe('フラットの猫')
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
