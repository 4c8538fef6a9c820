/**
 * What a model was trained on, in words, and how far a prompt is from all of it.
 *
 * A prompt's features are its words (English) or its pairs of characters, kanji and runs of one script (Japanese),
 * weighted by how few labels have them. The similarity of a prompt and a label is the weight of the features they share
 * by the weight of the prompt's: 1 when the label says everything the prompt says, 0 when nothing. A word that no label
 * has stands for one a slip of the pen away.
 */

import { setImmediate } from 'node:timers/promises'
import { throwIfAborted } from '../errors'
import { editDistance } from './editDistance'
import type { Label, Language } from './labels'

/** How near a prompt is to what the model knows. */
export interface Nearness {
  /** Of the best label, 0 to 1. */
  readonly similarity: number
  /** Names of the nearest labels in the prompt's language, best first. */
  readonly nearest: readonly string[]
}

/** Below this similarity a prompt counts as far from everything trained. */
export const FAR_SIMILARITY = 0.45

/** Features of one prompt that are looked at, and characters; they keep the longest prompt cheap. */
const MAX_FEATURES = 400
const MAX_CHARACTERS = 2000
/** Unknown words of one prompt that are compared with every known word. */
const MAX_SLIPS = 8
/** Labels prepared between two turns of the event loop. */
const LABELS_PER_TURN = 50
/** Share of its weight that a word keeps for each slip of the pen in it. */
const SLIP_LIKENESS = 0.8

const KANA_OFFSET = 'ァ'.charCodeAt(0) - 'ぁ'.charCodeAt(0)
const STOP_WORDS = new Set('a an the of with and in on at to for my your his her its this that some is are'.split(' '))

/** Text as it is compared: NFKC, lower case, hiragana, no emoji selectors. */
export function normalise(text: string): string {
  return foldKana(foldWidth(text))
}

function foldWidth(text: string): string {
  return text.normalize('NFKC').toLowerCase().replaceAll('\ufe0f', '').trim().replace(/\s+/g, ' ')
}

function foldKana(text: string): string {
  return text.replace(/[ァ-ヶ]/g, (kana) => String.fromCharCode(kana.charCodeAt(0) - KANA_OFFSET))
}

/** Japanese when there is any kana or kanji. */
export function languageOf(prompt: string): Language {
  return /[\u3041-\u3096\u30a1-\u30fa\u3400-\u9fff々]/.test(prompt) ? 'ja' : 'en'
}

/**
 * Prepares labels for {@link LabelIndex.nearest}, a few at a time so that the event loop turns.
 *
 * @example
 * const index = await indexLabels([{ emoji: '🍣', captions: { en: ['sushi'], ja: ['すし', '寿司'] } }])
 * index.nearest('寿司') // { similarity: 1, nearest: ['すし'] }
 */
export async function indexLabels(
  labels: readonly Label[],
  options: { readonly signal?: AbortSignal } = {},
): Promise<LabelIndex> {
  const exact = new Map<string, number[]>()
  const postings = new Map<string, Set<number>>()
  for (const [at, label] of labels.entries()) {
    if (at % LABELS_PER_TURN === 0) await setImmediate()
    throwIfAborted(options.signal)
    for (const caption of namesOf(label)) {
      const text = normalise(caption)
      const same = exact.get(text)
      if (same === undefined) exact.set(text, [at])
      else if (!same.includes(at)) same.push(at)
      for (const feature of features(foldWidth(caption))) {
        const holders = postings.get(feature)
        if (holders === undefined) postings.set(feature, new Set([at]))
        else holders.add(at)
      }
    }
  }
  return new LabelIndex(labels, exact, postings)
}

function namesOf({ emoji, captions: { en = [], ja = [] } }: Label): readonly string[] {
  return emoji === undefined ? [...en, ...ja] : [emoji, ...en, ...ja]
}

/** Labels prepared for comparing. Made by {@link indexLabels}. */
export class LabelIndex {
  readonly #labels: readonly Label[]
  readonly #exact: ReadonlyMap<string, readonly number[]>
  readonly #postings: ReadonlyMap<string, ReadonlySet<number>>
  readonly #words: readonly Word[]

  constructor(
    labels: readonly Label[],
    exact: ReadonlyMap<string, readonly number[]>,
    postings: ReadonlyMap<string, ReadonlySet<number>>,
  ) {
    this.#labels = labels
    this.#exact = exact
    this.#postings = postings
    this.#words = [...postings.keys()].filter(isWord).map(wordOf)
  }

  /**
   * Compares a prompt with every label.
   *
   * @param prompt - any text; the first 2000 characters count.
   * @param count - how many labels to name at most.
   */
  nearest(prompt: string, count = 3): Nearness {
    const start = prompt.slice(0, MAX_CHARACTERS)
    const language = languageOf(start)
    const text = normalise(start)
    const scores = new Map<number, number>()
    const seen = new Set<string>()
    let total = 0
    let slips = 0
    for (const feature of features(foldWidth(start))) {
      if (seen.size === MAX_FEATURES) break
      if (seen.has(feature)) continue
      seen.add(feature)
      if (feature.startsWith(RUN) && !this.#postings.has(feature)) continue // its parts count already
      total += this.#weight(feature)
      const unknown = !this.#postings.has(feature)
      if (unknown && ++slips > MAX_SLIPS) continue
      for (const [known, likeness] of unknown ? this.#alike(feature) : [[feature, 1] as const]) {
        const gain = likeness * this.#weight(feature)
        for (const at of this.#postings.get(known) ?? []) scores.set(at, (scores.get(at) ?? 0) + gain)
      }
    }
    const ranked = [...scores].map(([at, score]) => ({
      at,
      score: score / total,
      length: this.#nameLength(at, language),
    }))
    for (const at of this.#exact.get(text.replace(/^(a|an|the) /, '')) ?? this.#exact.get(text) ?? []) {
      ranked.unshift({ at, score: 1 + 1 / (1 + this.#nameLength(at, language)), length: 0 })
    }
    ranked.sort((a, b) => b.score - a.score || a.length - b.length || a.at - b.at)
    const names = new Set(ranked.map(({ at }) => this.#name(at, language)))
    return { similarity: Math.min(1, ranked[0]?.score ?? 0), nearest: [...names].filter(Boolean).slice(0, count) }
  }

  #name(at: number, language: Language): string {
    const { captions } = this.#labels[at] ?? { captions: {} }
    return captions[language]?.[0] ?? captions.en?.[0] ?? captions.ja?.[0] ?? ''
  }

  #nameLength(at: number, language: Language): number {
    return this.#name(at, language).length
  }

  /** ln(1 + labels / labels that have the feature); a feature that none has weighs most. */
  #weight(feature: string): number {
    return Math.log(1 + this.#labels.length / (this.#postings.get(feature)?.size ?? 0.5))
  }

  /** The known words a slip of the pen away. */
  #alike(feature: string): readonly (readonly [feature: string, likeness: number])[] {
    if (!isWord(feature) || feature.length < 4) return []
    const slips = feature.length < 8 ? 1 : 2
    const own = wordOf(feature)
    const alike = this.#words
      .filter((word) => Math.abs(word.text.length - feature.length) <= slips && differing(own, word) <= 2 * slips)
      .map(({ text }) => ({ word: text, distance: editDistance(feature, text) }))
    const best = Math.min(slips, ...alike.map(({ distance }) => distance))
    return alike.filter(({ distance }) => distance === best).map(({ word }) => [word, SLIP_LIKENESS ** best] as const)
  }
}

/** A word and which letters it has, a bit each; words a slip apart differ in at most two letters. */
interface Word {
  readonly text: string
  readonly letters: number
}

function wordOf(text: string): Word {
  let letters = 0
  for (let i = 0; i < text.length; i++) letters |= 1 << (text.charCodeAt(i) % 32)
  return { text, letters }
}

/** How many letters only one of two words has. */
function differing(a: Word, b: Word): number {
  let bits = a.letters ^ b.letters
  let count = 0
  for (; bits !== 0; bits &= bits - 1) count++
  return count
}

/** Marks a feature that is a whole run of one script. */
const RUN = '='

/** Words without their plural s; of Japanese the pairs of characters, kanji and runs; other characters alone. */
function* features(text: string): Generator<string> {
  for (const [part] of text.matchAll(/[ぁ-ゖァ-ヺー㐀-鿿々]+|[\p{Script=Latin}\p{M}\d']+|[^\s\p{P}]/gu)) {
    if (/^[ぁ-ゖァ-ヺー㐀-鿿々]/.test(part)) {
      yield* japaneseFeatures(part)
    } else {
      const word = part.replace(/'s?$/, '').replace(/(?<=[^s]{3})s$/, '')
      if (!STOP_WORDS.has(word)) yield word
    }
  }
}

function* japaneseFeatures(part: string): Generator<string> {
  const characters = foldKana(part)
  for (let i = 0; i + 1 < characters.length; i++) yield characters.slice(i, i + 2)
  for (const [kanji] of part.matchAll(/[㐀-鿿]/g)) yield kanji
  for (const [run] of part.matchAll(/[ぁ-ゖー]{2,}|[ァ-ヺー]{2,}|[㐀-鿿々]{2,}/g)) yield RUN + foldKana(run)
  if (characters.length === 1) yield characters
}

function isWord(feature: string): boolean {
  return /^[\p{Script=Latin}\d']{2,}$/u.test(feature)
}
