/** Texts by language, as objects of `irodori.json` have them. */

import type { Language } from '../text/labels'
import type { JsonFields } from '../weights/jsonFields'

export const LANGUAGES: readonly Language[] = ['en', 'ja']

/** The texts there are; other fields are errors. */
export function byLanguage(fields: JsonFields): ReadonlyMap<Language, string> {
  const found = new Map(LANGUAGES.filter((language) => fields.has(language)).map((l) => [l, fields.string(l)] as const))
  fields.end()
  return found
}
