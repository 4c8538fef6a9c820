/** Checking of options at the edge: known names, right types, ranges, and messages that say expected and got. */

import { EngineError } from '../errors'
import { suggest } from './editDistance'

/** Options as a caller gave them. */
export type GivenOptions = Readonly<Record<string, unknown>>

/**
 * The options as an object whose names are all known.
 *
 * @param owner - the function, for messages: `generate`.
 * @param given - what the caller passed; `undefined` is no options.
 * @param known - every name there is.
 * @throws {@link EngineError} `unknown-option` for another name, with the one that was probably meant.
 * @throws {@link EngineError} `invalid-option` when it is no object.
 */
export function checkNames(owner: string, given: unknown, known: readonly string[]): GivenOptions {
  if (given === undefined) return {}
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new EngineError('invalid-option', `${owner}: expected an object of options, got ${show(given)}`)
  }
  for (const option of Object.keys(given)) {
    if (known.includes(option)) continue
    const meant = suggest(option, known)
    const hint = meant === undefined ? '' : `; did you mean ${meant}?`
    const message = `${owner}: expected options among ${known.join(', ') || 'none'}, got ${option}${hint}`
    throw new EngineError('unknown-option', message, { option, expected: known, suggestion: meant })
  }
  return given as GivenOptions
}

/** The error for an option with a wrong value. */
export function invalidOption(option: string, expected: string, got: unknown): EngineError {
  return new EngineError('invalid-option', `${option}: expected ${expected}, got ${show(got)}`, {
    option,
    expected,
    got,
  })
}

/** A whole number of a closed range, or `undefined` when left out. */
export function integerOption(given: GivenOptions, option: string, min: number, max: number): number | undefined {
  const value = given[option]
  if (value === undefined) return undefined
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
  throw invalidOption(option, `a whole number from ${min} to ${max}`, value)
}

/** A number of a closed range, or `undefined` when left out. */
export function numberOption(given: GivenOptions, option: string, min: number, max: number): number | undefined {
  const value = given[option]
  if (value === undefined) return undefined
  if (typeof value === 'number' && value >= min && value <= max) return value
  throw invalidOption(option, `a number from ${min} to ${max}`, value)
}

/** A string, or `undefined` when left out. */
export function stringOption(given: GivenOptions, option: string): string | undefined {
  const value = given[option]
  if (value === undefined || typeof value === 'string') return value
  throw invalidOption(option, 'a string', value)
}

/** One of a few words, or `undefined` when left out. */
export function wordOption<W extends string>(given: GivenOptions, option: string, words: readonly W[]): W | undefined {
  const value = given[option]
  if (value === undefined) return undefined
  const word = words.find((candidate) => candidate === value)
  if (word !== undefined) return word
  const meant = typeof value === 'string' ? suggest(value, words) : undefined
  throw invalidOption(option, `one of ${words.join(', ')}`, meant === undefined ? value : `${value} (${meant}?)`)
}

/** A signal, or `undefined` when left out. */
export function signalOption(given: GivenOptions): AbortSignal | undefined {
  const { signal } = given
  if (signal === undefined || signal instanceof AbortSignal) return signal
  throw invalidOption('signal', 'an AbortSignal', signal)
}

/** A value as it stands in messages, cut to a line. */
export function show(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`
  const text =
    typeof value === 'string' ? JSON.stringify(value) : typeof value === 'object' ? describe(value) : String(value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

function describe(value: object | null): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return `an object (${value.constructor?.name ?? 'without prototype'})`
}
