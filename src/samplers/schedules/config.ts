/** Reading the fields of a diffusers `scheduler_config.json`, each checked. */

import { EngineError } from '../../errors'

/** Typed access to a scheduler's settings. */
export interface SchedulerConfig {
  /** `_class_name`. */
  readonly className: string
  /** Whether the field is there and not null. */
  has(field: string): boolean
  /** A finite number of the closed range. */
  number(field: string, fallback: number, min?: number, max?: number): number
  /** A whole number of the closed range. */
  integer(field: string, fallback: number, min: number, max: number): number
  /** A switch; null is the default. */
  boolean(field: string, fallback: boolean): boolean
  /** One of the words. */
  word<W extends string>(field: string, fallback: W, words: readonly W[]): W
  /** A list of numbers; undefined when absent. */
  numbers(field: string): readonly number[] | undefined
}

/**
 * Parses the text of a `scheduler_config.json`. Python writes `-Infinity`, `Infinity` and `NaN` bare, which JSON does not
 * know; they are read as numbers.
 *
 * @throws {@link EngineError} `invalid-config` when it is not JSON otherwise.
 */
export function parseSchedulerConfig(text: string): unknown {
  // A string is matched first and kept as it is, so the words are replaced only outside strings.
  const json = text.replace(/"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g, (token) => {
    if (token.startsWith('"')) return token
    if (token === 'NaN') return 'null'
    return token.startsWith('-') ? '-1e999' : '1e999'
  })
  try {
    return JSON.parse(json)
  } catch (cause) {
    throw new EngineError('invalid-config', `scheduler config: expected JSON, got an error: ${String(cause)}`, {
      cause,
    })
  }
}

/**
 * Wraps a parsed config.
 *
 * @throws {@link EngineError} `invalid-config` when it is not an object with a `_class_name`.
 */
export function readSchedulerConfig(config: unknown): SchedulerConfig {
  if (typeof config !== 'object' || config === null || Array.isArray(config)) {
    throw new EngineError('invalid-config', `scheduler config: expected an object, got ${JSON.stringify(config)}`)
  }
  const fields = new Map<string, unknown>(Object.entries(config))
  const className = fields.get('_class_name')
  if (typeof className !== 'string') {
    throw new EngineError('invalid-config', `scheduler config: expected a _class_name, got ${String(className)}`)
  }

  const wrong = (field: string, expected: string) => {
    const got = String(fields.get(field))
    return new EngineError('invalid-config', `${className}.${field}: expected ${expected}, got ${got}`, { field })
  }
  const value = (field: string) => fields.get(field) ?? undefined

  const number: SchedulerConfig['number'] = (field, fallback, min = -Number.MAX_VALUE, max = Number.MAX_VALUE) => {
    const got = value(field) ?? fallback
    if (typeof got !== 'number' || !(got >= min && got <= max)) throw wrong(field, `a number from ${min} to ${max}`)
    return got
  }
  return {
    className,
    has: (field) => value(field) !== undefined,
    number,
    integer(field, fallback, min, max) {
      const got = number(field, fallback, min, max)
      if (!Number.isInteger(got)) throw wrong(field, 'a whole number')
      return got
    },
    boolean(field, fallback) {
      const got = value(field) ?? fallback
      if (typeof got !== 'boolean') throw wrong(field, 'true or false')
      return got
    },
    word(field, fallback, words) {
      const got = value(field) ?? fallback
      const word = words.find((candidate) => candidate === got)
      if (word === undefined) throw wrong(field, `one of ${words.join(', ')}`)
      return word
    },
    numbers(field) {
      const got = value(field)
      if (got === undefined) return undefined
      if (Array.isArray(got) && got.every((item) => typeof item === 'number' && Number.isFinite(item))) return got
      throw wrong(field, 'a list of numbers')
    },
  }
}

/** The error for a setting that is valid in diffusers but not done here; `remedy` says what to do instead. */
export function unsupported(config: SchedulerConfig, what: string, remedy?: string): EngineError {
  const hint = remedy === undefined ? '' : `; ${remedy}`
  return new EngineError('unsupported-model', `${config.className}: ${what} is not supported yet${hint}`, {
    className: config.className,
  })
}

/** Throws {@link unsupported} when one of the switches is on. */
export function rejectSwitches(config: SchedulerConfig, switches: readonly string[]): void {
  for (const name of switches) if (config.boolean(name, false)) throw unsupported(config, `${name} = true`)
}

/** Whether the model is a flow model: by its class, or by a multistep class' switch. */
export function isFlow(config: SchedulerConfig): boolean {
  return config.className.startsWith('FlowMatch') || config.boolean('use_flow_sigmas', false)
}
