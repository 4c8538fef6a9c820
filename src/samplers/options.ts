/** Checking of samplers' options against a table of defaults and ranges. */

import { EngineError } from '../errors'

/** A number with its default and its closed range (and whether it is whole), a switch with its default, or a word with its default and the others. */
export type OptionRule =
  | { readonly default: number; readonly min: number; readonly max: number; readonly whole?: true }
  | { readonly default: boolean }
  | { readonly default: string; readonly words: readonly string[] }

/** Values for a table of rules. */
export type OptionValues<R extends Readonly<Record<string, OptionRule>>> = {
  readonly [K in keyof R]: R[K] extends { readonly words: readonly (infer W)[] }
    ? W
    : R[K]['default'] extends boolean
      ? boolean
      : number
}

/**
 * Fills in defaults and checks ranges.
 *
 * @param owner - name for messages.
 * @param given - options as the caller gave them; `undefined` means the default.
 * @param rules - every option there is.
 * @throws {@link EngineError} `unknown-option` when one has no rule.
 * @throws {@link EngineError} `invalid-option` when one is NaN, out of range or of the wrong type.
 */
export function readOptions<const R extends Readonly<Record<string, OptionRule>>>(
  owner: string,
  given: Readonly<Record<string, unknown>>,
  rules: R,
): OptionValues<R> {
  for (const option of Object.keys(given)) {
    if (Object.hasOwn(rules, option)) continue
    const known = Object.keys(rules).join(', ') || 'none'
    throw new EngineError('unknown-option', `${owner}: expected options among: ${known}; got ${option}`, { option })
  }
  const values = Object.entries(rules).map(([option, rule]) => [option, readOption(owner, option, given[option], rule)])
  return Object.fromEntries(values) as OptionValues<R> // each value has the type of its rule's default
}

function readOption(owner: string, option: string, value: unknown, rule: OptionRule): number | boolean | string {
  if (value === undefined) return rule.default
  const wrong = (expected: string) =>
    new EngineError('invalid-option', `${owner}.${option}: expected ${expected}, got ${String(value)}`, { option })
  if ('min' in rule) {
    const inside = typeof value === 'number' && value >= rule.min && value <= rule.max
    if (inside && (rule.whole === undefined || Number.isInteger(value))) return value
    throw wrong(`a ${rule.whole ? 'whole ' : ''}number from ${rule.min} to ${rule.max}`)
  }
  if ('words' in rule) {
    if (typeof value === 'string' && rule.words.includes(value)) return value
    throw wrong(`one of ${rule.words.join(', ')}`)
  }
  if (typeof value === 'boolean') return value
  throw wrong('true or false')
}
