/** The styles of a folder, from its `irodori.json`. */

import type { Styles } from '../text/styles'
import type { JsonFields } from '../weights/jsonFields'
import { byLanguage } from './byLanguage'

/**
 * Reads the `styles` of an `irodori.json`:
 *
 * ```json
 * { "default": "3d", "forms": { "en": "{style} {prompt}" }, "words": { "3d": { "en": "3d" }, "flat": { "en": "flat" } } }
 * ```
 *
 * @throws {@link EngineError} `invalid-config` naming the field.
 */
export function readStyles(fields: JsonFields): Styles {
  const forms = byLanguage(fields.object('forms'))
  for (const form of forms.values()) {
    if (!form.includes('{style}') || !form.includes('{prompt}')) {
      fields.fail('forms', 'sentences with {style} and {prompt}', form)
    }
  }
  const table = fields.object('words')
  const words = new Map(table.names().map((name) => [name, byLanguage(table.object(name))]))
  for (const [name, own] of words) {
    for (const language of forms.keys())
      if (!own.has(language)) fields.fail('words', `a word for ${name} in ${language}`)
  }
  const standard = fields.string('default')
  if (!words.has(standard)) fields.fail('default', `one of ${[...words.keys()].join(', ')}`, standard)
  fields.end()
  return { default: standard, forms, words }
}
