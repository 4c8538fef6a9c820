/** What a model was made of and at what cost, as the `provenance` of its folder's `irodori.json` says: its card as data. */

import path from 'node:path'
import type { Language } from '../text/labels'
import type { JsonFields } from '../weights/jsonFields'
import { byLanguage, LANGUAGES } from './byLanguage'

/** What a source gave to a model; `teacher` is a model it learnt from whose weights are not part of it. */
export const SOURCE_KINDS = ['pictures', 'words', 'weights', 'teacher'] as const

/** Something a model was made from. */
export interface ProvenanceSource {
  readonly kind: (typeof SOURCE_KINDS)[number]
  readonly name?: string
  /** An SPDX expression where there is one. */
  readonly licence: string
  /** Pictures or captions that were taken from it. */
  readonly count?: number
}

/** What training took. */
export interface TrainingCost {
  readonly hours: number
  /** What it ran on. */
  readonly processor?: string
  /** Money for all of it, at `dollarsPerHour`. */
  readonly dollars?: number
  readonly dollarsPerHour?: number
  readonly steps?: number
  /** Pictures that were shown, each time counted. */
  readonly pictures?: number
  readonly flops?: number
}

/** One figure of an evaluation. */
export interface ModelScore {
  /** What was measured: `top-1`, `copies`. */
  readonly measure: string
  /** Shares from 0 to 1. */
  readonly value: number
  /** What was asked for: `held-out pairs`. */
  readonly of?: string
  readonly language?: Language
  /** Sampler steps. */
  readonly steps?: number
  /** How many drawings were looked at. */
  readonly count?: number
}

/** Where a model comes from; not to be confused with `Provenance`, how a picture was made. Frozen. */
export interface ModelProvenance {
  readonly sources: readonly ProvenanceSource[]
  readonly training?: TrainingCost
  readonly scores: readonly ModelScore[]
  /** What it cannot do, by language. */
  readonly limits: Readonly<Partial<Record<Language, string>>>
  /** Paths of the cards, by language. */
  readonly cards: Readonly<Partial<Record<Language, string>>>
}

/**
 * Reads the `provenance` of an `irodori.json`; all but `sources` may be left out:
 *
 * ```json
 * { "sources": [{ "kind": "pictures", "name": "own photographs", "licence": "CC0-1.0", "count": 800 }],
 *   "training": { "hours": 1.5, "processor": "two CPU cores", "dollars": 0.15, "dollarsPerHour": 0.1 },
 *   "scores": [{ "measure": "top-1", "value": 0.95, "of": "labels", "language": "en", "steps": 8, "count": 1339 }],
 *   "limits": { "en": "Single things on white.", "ja": "白地に一つ。" },
 *   "cards": { "en": "MODEL_CARD.md", "ja": "MODEL_CARD.ja.md" } }
 * ```
 *
 * @param folder - that cards are in.
 * @throws {@link EngineError} `invalid-config` naming the field.
 */
export function readModelProvenance(fields: JsonFields, folder: string): ModelProvenance {
  const sources = fields.objects('sources').map(readSource)
  const training = fields.has('training') ? readTraining(fields.object('training')) : undefined
  const scores = fields.has('scores') ? fields.objects('scores').map(readScore) : []
  const limits = fields.has('limits') ? Object.fromEntries(byLanguage(fields.object('limits'))) : {}
  const cards = fields.has('cards') ? readCards(fields.object('cards'), folder) : {}
  fields.end()
  return Object.freeze({
    sources: Object.freeze(sources),
    ...(training ? { training } : {}),
    scores: Object.freeze(scores),
    limits: Object.freeze(limits),
    cards: Object.freeze(cards),
  })
}

function readSource(fields: JsonFields): ProvenanceSource {
  const source = {
    kind: fields.oneOf('kind', SOURCE_KINDS),
    ...(fields.has('name') ? { name: fields.string('name') } : {}),
    licence: fields.string('licence'),
    ...(fields.has('count') ? { count: fields.integer('count', { min: 0 }) } : {}),
  }
  fields.end()
  return Object.freeze(source)
}

function readTraining(fields: JsonFields): TrainingCost {
  const amount = (name: string) => (fields.has(name) ? { [name]: fields.number(name, { min: 0 }) } : {})
  const count = (name: string) => (fields.has(name) ? { [name]: fields.integer(name, { min: 0 }) } : {})
  const cost = {
    hours: fields.number('hours', { min: 0 }),
    ...(fields.has('processor') ? { processor: fields.string('processor') } : {}),
    ...amount('dollars'),
    ...amount('dollarsPerHour'),
    ...count('steps'),
    ...count('pictures'),
    ...amount('flops'),
  }
  fields.end()
  return Object.freeze(cost)
}

function readScore(fields: JsonFields): ModelScore {
  const score = {
    measure: fields.string('measure'),
    value: fields.number('value'),
    ...(fields.has('of') ? { of: fields.string('of') } : {}),
    ...(fields.has('language') ? { language: fields.oneOf('language', LANGUAGES) } : {}),
    ...(fields.has('steps') ? { steps: fields.integer('steps', { min: 1 }) } : {}),
    ...(fields.has('count') ? { count: fields.integer('count', { min: 1 }) } : {}),
  }
  fields.end()
  return Object.freeze(score)
}

function readCards(fields: JsonFields, folder: string): ModelProvenance['cards'] {
  const files = [...byLanguage(fields)].map(([language, file]) => {
    const inside = path.join(folder, file)
    if (path.isAbsolute(file) || path.relative(folder, inside).startsWith('..')) {
      fields.fail(language, 'a file of the folder', file)
    }
    return [language, inside] as const
  })
  return Object.fromEntries(files)
}
