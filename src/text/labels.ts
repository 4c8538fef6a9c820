/** Labels: what a model was trained to draw, in words, as its folder lists them. */

import { readFile } from 'node:fs/promises'
import { EngineError } from '../errors'

/** Languages labels come in. */
export type Language = 'en' | 'ja'

/** One thing the model was trained to draw. */
export interface Label {
  /** Its emoji, if there is one. */
  readonly emoji?: string
  /** What it is called, by language: the name to show first, then every other caption of training; at least one. */
  readonly captions: Readonly<Partial<Record<Language, readonly string[]>>>
}

/**
 * Reads a labels file: `{ "items": [{ "emoji": "🚀", "en": ["rocket", ...], "ja": ["ロケット", ...] }] }`.
 *
 * @throws {@link EngineError} `missing-file` when there is none.
 * @throws {@link EngineError} `invalid-config` when it has another form.
 */
export async function readLabels(file: string, options: { readonly signal?: AbortSignal } = {}): Promise<Label[]> {
  let text: string
  try {
    text = await readFile(file, { encoding: 'utf8', signal: options.signal })
  } catch (cause) {
    if (options.signal?.aborted) throw cause
    throw new EngineError('missing-file', `labels: expected ${file}, got no readable file`, { file, cause })
  }
  let items: unknown
  try {
    items = (JSON.parse(text) as { items?: unknown } | null)?.items
  } catch (cause) {
    throw new EngineError('invalid-config', `${file}: expected JSON, got ${String(cause)}`, { file, cause })
  }
  if (!Array.isArray(items)) {
    throw new EngineError('invalid-config', `${file}: expected a list "items", got ${typeof items}`, { file })
  }
  return items.map((item: unknown, at) => readLabel(item, `${file}: items[${at}]`))
}

function readLabel(item: unknown, at: string): Label {
  const fields = (item ?? {}) as Readonly<Record<string, unknown>>
  const { emoji, en, ja } = fields
  const captions = { ...(isNames(en) ? { en } : {}), ...(isNames(ja) ? { ja } : {}) }
  const wrong = [en, ja].some((names) => names !== undefined && !isNames(names))
  if (!wrong && Object.keys(captions).length > 0) {
    if (emoji === undefined) return { captions }
    if (typeof emoji === 'string') return { emoji, captions }
  }
  const expected = '{ emoji?: string, en?: string[], ja?: string[] }, one language at least'
  throw new EngineError('invalid-config', `${at}: expected ${expected}, got ${JSON.stringify(item)?.slice(0, 80)}`, {
    at,
  })
}

function isNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.every((name) => typeof name === 'string')
}
