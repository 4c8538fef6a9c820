/** Styles a model draws in by name: which words ask for one, and how they are put to a prompt. */

import { EngineError } from '../errors'
import { suggest } from './editDistance'
import { escapeRegExp } from './escapeRegExp'
import type { Language } from './labels'
import { languageOf } from './nearestLabels'

/** What a folder says of its styles. */
export interface Styles {
  /** The style of a prompt that names none. */
  readonly default: string
  /** By language, a sentence with `{style}` and `{prompt}` in it. */
  readonly forms: ReadonlyMap<Language, string>
  /** By name and language, the word for the style. */
  readonly words: ReadonlyMap<string, ReadonlyMap<Language, string>>
}

/**
 * The words of a style.
 *
 * @throws {@link EngineError} `invalid-option` when there is no such style.
 */
export function checkStyle(styles: Styles, style: string): ReadonlyMap<Language, string> {
  const words = styles.words.get(style)
  if (words !== undefined) return words
  const names = [...styles.words.keys()]
  const near = suggest(style, names)
  const hint = near === undefined ? '' : `; did you mean ${near}?`
  throw new EngineError('invalid-option', `style: expected one of ${names.join(', ')}, got ${style}${hint}`, {
    option: 'style',
  })
}

/**
 * The prompt without words for styles, which say how to draw and not what: "cat, flat style" and フラットの猫 as "cat," and
 * 猫. A prompt of nothing else stays as it is.
 */
export function unstyledPrompt(styles: Styles, prompt: string): string {
  const words = [...styles.words.values()].flatMap((own) => [...own.values()]).map(escapeRegExp)
  const named = new RegExp(`(?<![a-z0-9])(?:${words.join('|')})(?![a-z0-9])(?: style|(?:風)?[のな]|風)?`, 'gi')
  return prompt.replace(named, ' ').trim() || prompt
}

/**
 * The prompt with the style's word, in the prompt's language.
 *
 * @param style - a name; of the style that is meant anyway the prompt stays as it is.
 * @throws {@link EngineError} `invalid-option` when there is no such style.
 */
export function styledPrompt(styles: Styles, style: string, prompt: string): string {
  const words = checkStyle(styles, style)
  if (style === styles.default || prompt === '') return prompt
  const own = languageOf(prompt)
  const language = styles.forms.has(own) ? own : ([...styles.forms.keys()][0] ?? own)
  const [form, word] = [styles.forms.get(language), words.get(language)]
  return form === undefined || word === undefined
    ? prompt
    : form.replace(/\{style\}|\{prompt\}/g, (part) => (part === '{style}' ? word : prompt))
}
