/** Checked reading of JSON objects: every field is asked for by name and type, and what nobody asked for is an error. */

import { readFile } from 'node:fs/promises'
import { EngineError } from '../errors'

/** A JSON object whose values are still unchecked. */
export type JsonObject = Readonly<Record<string, unknown>>

/** Limits of a number field; a field without `default` is required. */
export interface NumberField {
  readonly default?: number
  readonly min?: number
  readonly max?: number
}

/** Typed access to the fields of one object; all methods throw `invalid-config` naming file and field. */
export interface JsonFields {
  /** File (and place in it) that messages name. */
  readonly where: string
  has(name: string): boolean
  integer(name: string, field?: NumberField): number
  /** An integer or `null`. */
  integerOrNull(name: string, field: Omit<NumberField, 'default'> & { readonly default?: number | null }): number | null
  number(name: string, field?: NumberField): number
  /** A number or `null`. */
  numberOrNull(name: string, field: Omit<NumberField, 'default'> & { readonly default?: number | null }): number | null
  boolean(name: string, fallback?: boolean): boolean
  booleanOrNull(name: string, fallback: boolean | null): boolean | null
  string(name: string, fallback?: string): string
  /** One of a few strings. */
  oneOf<T extends string>(name: string, allowed: readonly T[], fallback?: T): T
  /** A list of integers. */
  integers(name: string, field?: { readonly default?: readonly number[]; readonly min?: number }): readonly number[]
  /** A nested object, with typed access of its own. */
  object(name: string): JsonFields
  /** A list of nested objects, each with typed access of its own. */
  objects(name: string): readonly JsonFields[]
  /** Names of the fields there are, for objects that are tables. */
  names(): readonly string[]
  /** Accepts the field only when it has one of these values (or is absent). */
  only(name: string, ...values: readonly (string | number | boolean | null)[]): void
  /** Fields that change nothing at inference: any value is accepted. */
  inert(...names: readonly string[]): void
  /** Throws an `invalid-config` for a field whose value is well-formed but contradicts another. */
  fail(name: string, expected: string, got?: unknown): never
  /** Throws when a field was never asked for; names that start with `_` are notes of the framework and pass. */
  end(): void
}

/**
 * @param value - the parsed JSON.
 * @param where - the file, for messages.
 */
export function jsonFields(value: unknown, where: string): JsonFields {
  const object = jsonObject(value, where)
  const asked = new Set<string>()

  const fail = (name: string, expected: string, got: unknown = object[name]): never => {
    throw new EngineError('invalid-config', `${where}: ${name}: expected ${expected}, got ${show(got)}`, {
      file: where,
      field: name,
      expected,
      got,
    })
  }
  const take = (name: string): unknown => {
    asked.add(name)
    return object[name]
  }
  const bounded = (name: string, got: unknown, field: Omit<NumberField, 'default'>, whole: boolean): number => {
    const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = field
    const valid =
      typeof got === 'number' && (whole ? Number.isSafeInteger(got) : Number.isFinite(got)) && got >= min && got <= max
    if (valid) return got
    const kind = whole ? 'an integer' : 'a finite number'
    const lower = min === Number.NEGATIVE_INFINITY ? '' : ` of at least ${min}`
    const upper = max === Number.POSITIVE_INFINITY ? '' : `${lower ? ' and' : ''} at most ${max}`
    return fail(name, `${kind}${lower}${upper}`)
  }

  return {
    where,
    fail,
    has: (name) => object[name] !== undefined,
    integer(name, field = {}) {
      const got = take(name)
      return got === undefined && field.default !== undefined ? field.default : bounded(name, got, field, true)
    },
    integerOrNull(name, field) {
      const got = take(name)
      if (got === null) return null
      return got === undefined && field.default !== undefined ? field.default : bounded(name, got, field, true)
    },
    number(name, field = {}) {
      const got = take(name)
      return got === undefined && field.default !== undefined ? field.default : bounded(name, got, field, false)
    },
    numberOrNull(name, field) {
      const got = take(name)
      if (got === null) return null
      return got === undefined && field.default !== undefined ? field.default : bounded(name, got, field, false)
    },
    boolean(name, fallback) {
      const got = take(name) ?? fallback
      return typeof got === 'boolean' ? got : fail(name, 'true or false')
    },
    booleanOrNull(name, fallback) {
      const got = take(name)
      if (got === undefined) return fallback
      return got === null || typeof got === 'boolean' ? got : fail(name, 'true, false or null')
    },
    string(name, fallback) {
      const got = take(name) ?? fallback
      return typeof got === 'string' ? got : fail(name, 'a string')
    },
    oneOf(name, allowed, fallback) {
      const got = take(name) ?? fallback
      const found = allowed.find((choice) => choice === got)
      return found ?? fail(name, allowed.map((choice) => `"${choice}"`).join(' or '))
    },
    integers(name, field = {}) {
      const got = take(name) ?? field.default
      const { min = Number.NEGATIVE_INFINITY } = field
      const valid =
        Array.isArray(got) && got.length > 0 && got.every((item) => Number.isSafeInteger(item) && item >= min)
      return valid
        ? got
        : fail(name, `a list of integers${min === Number.NEGATIVE_INFINITY ? '' : ` of at least ${min}`}`)
    },
    object: (name) => jsonFields(take(name), `${where}: ${name}`),
    objects(name) {
      const got = take(name)
      return Array.isArray(got)
        ? got.map((item, i) => jsonFields(item, `${where}: ${name}[${i}]`))
        : fail(name, 'a list of objects')
    },
    names: () => Object.keys(object),
    only(name, ...values) {
      const got = take(name)
      if (got !== undefined && !values.some((value) => value === got)) fail(name, values.map(show).join(' or '))
    },
    inert(...names) {
      for (const name of names) asked.add(name)
    },
    end() {
      const unknown = Object.keys(object).filter((name) => !name.startsWith('_') && !asked.has(name))
      const [first] = unknown
      if (first === undefined) return
      throw new EngineError(
        'invalid-config',
        `${where}: expected only known fields, got ${unknown.map(show).join(', ')}`,
        {
          file: where,
          field: first,
          unknown,
        },
      )
    },
  }
}

/** The value as an object; `invalid-config` when it is anything else. */
export function jsonObject(value: unknown, where: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject
  throw new EngineError('invalid-config', `${where}: expected a JSON object, got ${show(value)}`, { file: where })
}

/**
 * Reads and parses a JSON file.
 *
 * Throws `missing-file` when it is not there, `io` when it cannot be read, `invalid-config` when it is not JSON.
 */
export async function readJson(file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT' || cause.code === 'ENOTDIR') {
      throw new EngineError('missing-file', `${file}: expected a file, found none`, { file, cause })
    }
    throw new EngineError('io', `${file}: cannot be read (${cause.code ?? cause.message})`, { file, cause })
  })
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new EngineError(
      'invalid-config',
      `${file}: expected JSON, got ${cause instanceof Error ? cause.message : cause}`,
      {
        file,
        cause,
      },
    )
  }
}

/** A value as it stands in messages, cut to a line. */
function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}
