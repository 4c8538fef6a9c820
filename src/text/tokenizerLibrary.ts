/** The tokenizer library, as far as it is used, and reading of the files it is made from. */

import { readFile } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { EngineError, throwIfAborted } from '../errors'

/** What is used of the library, whose own declarations do not resolve from CommonJS. */
export interface TokenizerModel {
  encode(
    text: string,
    options: { readonly add_special_tokens: boolean },
  ): { readonly ids: readonly number[]; readonly tokens: readonly string[] }
  token_to_id(token: string): number | undefined
  get_vocab(withAddedTokens: boolean): ReadonlyMap<string, number>
}

/** A parsed JSON object. */
export type Json = Readonly<Record<string, unknown>>

/** Makes the library's model of a `tokenizer.json`; loads the library, too. Throws what the library throws. */
export async function tokenizerModel(definition: Json, config: Json): Promise<TokenizerModel> {
  const library = await import('@huggingface/tokenizers')
  return new library.Tokenizer(definition, config)
}

/** Token ids of a text; the library gives `undefined` for tokens its vocabulary lacks. */
export function encodeIds(model: TokenizerModel, text: string, withSpecialTokens = true): readonly number[] {
  const { ids, tokens } = model.encode(text, { add_special_tokens: withSpecialTokens })
  const at = ids.findIndex((id) => !isId(id))
  if (at >= 0) throw new Error(`no id for token ${JSON.stringify(tokens[at])}`)
  return ids
}

/** Token ids of pieces one after the other, without start and end, with a turn of the event loop before each. */
export async function encodeInTurns(model: TokenizerModel, pieces: readonly string[]): Promise<number[]> {
  const ids: number[] = []
  for (const piece of pieces) {
    await setImmediate()
    ids.push(...encodeIds(model, piece, false))
  }
  return ids
}

/** Whether networks can be given it: they read i32. */
export function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The object in a file, or `undefined` when there is no such file. Throws `io`, and `invalid-tokenizer` for other contents. */
export async function readJsonObject(file: string, signal: AbortSignal | undefined): Promise<Json | undefined> {
  const text = await readText(file, signal)
  if (text === undefined) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new EngineError('invalid-tokenizer', `${file}: expected JSON, got ${reason(cause)}`, { file, cause })
  }
  if (isObject(value)) return value
  throw new EngineError(
    'invalid-tokenizer',
    `${file}: expected a JSON object, got ${JSON.stringify(value)?.slice(0, 40)}`,
    { file },
  )
}

/** The text in a file, or `undefined` when there is no such file. Throws `io` when it cannot be read. */
export async function readText(file: string, signal: AbortSignal | undefined): Promise<string | undefined> {
  throwIfAborted(signal)
  try {
    return await readFile(file, { encoding: 'utf8' })
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    throw new EngineError('io', `${file}: expected a readable file, got ${reason(cause)}`, { file, cause })
  }
}

/** The error for a file that describes no tokenizer. */
export function invalidTokenizer(file: string, expected: string, cause: unknown): EngineError {
  const message = `${file}: expected ${expected}, got ${reason(cause)}`
  return new EngineError('invalid-tokenizer', message, { file, cause: cause instanceof Error ? cause : undefined })
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
