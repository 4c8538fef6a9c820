/** Tokenizers: prompts to token ids of a fixed length, from the `tokenizer.json` of a model folder. */

import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { EngineError, throwIfAborted } from '../errors'
import { type Boundary, boundaryOf, piecesOf } from './pieces'

/** A longer prompt is refused: it is a mistake, and reading it would hold up the event loop. */
export const MAX_PROMPT_CHARACTERS = 20_000

/** A prompt as a network reads it. */
export interface Encoding {
  /** Padded to the length asked for. Shape [maxLength]. */
  readonly ids: Int32Array
  /** How many of them are the prompt's, start and end tokens included. */
  readonly length: number
  /** Whether the prompt was longer and its end was cut off. */
  readonly truncated: boolean
  /** How many tokens the whole prompt has. */
  readonly tokens: number
}

export interface Tokenizer {
  /** Number of distinct ids. */
  readonly vocabulary: number
  /** The `model_max_length` of `tokenizer_config.json`, when it says one. */
  readonly maxLength: number | undefined
  /**
   * Encodes a prompt; the last token of a prompt that is cut stays the tokenizer's end token. A long prompt leaves turns
   * to the event loop wherever the tokenizer splits.
   *
   * @param prompt - at most {@link MAX_PROMPT_CHARACTERS} characters; may be empty.
   * @param maxLength - length of the result.
   * @throws {@link EngineError} `invalid-option` when the prompt is longer than that or no string;
   * `invalid-tokenizer` when the tokenizer has no ids for it.
   */
  encode(prompt: string, maxLength: number): Promise<Encoding>
}

/**
 * Opens the tokenizer of a folder that has `tokenizer.json` and, optionally, `tokenizer_config.json`.
 *
 * @param folder - the `tokenizer` component of a model folder.
 * @throws {@link EngineError} `missing-file` when there is no `tokenizer.json`.
 * @throws {@link EngineError} `invalid-tokenizer` when a file is no JSON or describes no tokenizer.
 */
export async function loadTokenizer(
  folder: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Tokenizer> {
  const file = path.join(folder, 'tokenizer.json')
  const definition = await readJson(file, options.signal)
  if (definition === undefined) {
    throw new EngineError('missing-file', `tokenizer: expected ${file}, got no such file`, { file })
  }
  const config = (await readJson(path.join(folder, 'tokenizer_config.json'), options.signal)) ?? {}
  const library = await import('@huggingface/tokenizers')
  throwIfAborted(options.signal)
  const { model_max_length: limit, pad_token: padToken } = config
  const maxLength =
    typeof limit === 'number' && Number.isSafeInteger(limit) && limit > 0 && limit < 1e6 ? limit : undefined
  try {
    const model: Model = new library.Tokenizer(definition, config)
    encodeIds(model, 'a') // a file that describes no tokenizer often fails only here
    const padding = paddingId(model, definition, padToken)
    return makeTokenizer(model, file, padding, maxLength, boundaryOf(definition))
  } catch (cause) {
    throw new EngineError('invalid-tokenizer', `${file}: expected a tokenizer, got ${reason(cause)}`, { file, cause })
  }
}

function makeTokenizer(
  model: Model,
  file: string,
  padding: number,
  maxLength: number | undefined,
  boundary: Boundary | undefined,
): Tokenizer {
  const end = encodeIds(model, '').at(-1)
  return {
    vocabulary: model.get_vocab(true).size,
    maxLength,
    async encode(prompt, length) {
      checkPrompt(prompt)
      let ids: readonly number[]
      try {
        ids = boundary ? await encodePieces(model, piecesOf(prompt, boundary)) : encodeIds(model, prompt)
      } catch (cause) {
        throw new EngineError('invalid-tokenizer', `${file}: expected ids, got ${reason(cause)}`, { file, cause })
      }
      const padded = new Int32Array(length).fill(padding)
      padded.set(ids.slice(0, length))
      const truncated = ids.length > length
      if (truncated && end !== undefined && end === ids.at(-1)) padded[length - 1] = end
      return { ids: padded, length: Math.min(ids.length, length), truncated, tokens: ids.length }
    },
  }
}

/** Token ids of pieces as if they were one text, with a turn of the event loop between them. */
async function encodePieces(model: Model, pieces: readonly string[]): Promise<readonly number[]> {
  const [whole, ...others] = pieces
  if (whole !== undefined && others.length === 0) return encodeIds(model, whole)
  const bodies: number[] = []
  for (const piece of pieces) {
    await setImmediate()
    bodies.push(...encodeIds(model, piece, false))
  }
  // Start and end tokens stand around a body of one token as they do around any other.
  const [sample, around] = [encodeIds(model, 'a', false), encodeIds(model, 'a')]
  const at = around.findIndex((_, start) => sample.every((id, i) => around[start + i] === id))
  const [before, after] = [around.slice(0, at), around.slice(at + sample.length)]
  const known = at >= 0 && String([...before, ...after]) === String(encodeIds(model, ''))
  return known ? [...before, ...bodies, ...after] : encodeIds(model, pieces.join(''))
}

/** Token ids of a text; the library gives `undefined` for tokens its vocabulary lacks. */
function encodeIds(model: Model, text: string, withSpecialTokens = true): readonly number[] {
  const { ids, tokens } = model.encode(text, { add_special_tokens: withSpecialTokens })
  const at = ids.findIndex((id) => !isId(id))
  if (at >= 0) throw new Error(`no id for token ${JSON.stringify(tokens[at])}`)
  return ids
}

/** Whether networks can be given it: they read i32. */
function isId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 31
}

/** What is used of the library, whose own declarations do not resolve from CommonJS. */
interface Model {
  encode(
    text: string,
    options: { readonly add_special_tokens: boolean },
  ): { readonly ids: readonly number[]; readonly tokens: readonly string[] }
  token_to_id(token: string): number | undefined
  get_vocab(withAddedTokens: boolean): ReadonlyMap<string, number>
}

/** Refuses what is no prompt at all; emptiness is the caller's business. */
function checkPrompt(prompt: unknown): void {
  if (typeof prompt !== 'string') {
    throw new EngineError('invalid-option', `prompt: expected a string, got ${typeof prompt}`, { option: 'prompt' })
  }
  if (prompt.length > MAX_PROMPT_CHARACTERS) {
    const message = `prompt: expected at most ${MAX_PROMPT_CHARACTERS} characters, got ${prompt.length}`
    throw new EngineError('invalid-option', message, { option: 'prompt', got: prompt.length })
  }
}

/** The id of the token that fills up, from the config, else from `tokenizer.json`'s padding, else 0. */
function paddingId(model: Model, definition: Json, padToken: unknown): number {
  const content = isObject(padToken) ? padToken.content : padToken
  const named = typeof content === 'string' ? model.token_to_id(content) : undefined
  if (isId(named)) return named
  const { padding } = definition
  const id = isObject(padding) ? padding.pad_id : undefined
  if (id === undefined || id === null) return 0
  if (isId(id)) return id
  throw new Error(`padding.pad_id ${JSON.stringify(id)}`)
}

type Json = Readonly<Record<string, unknown>>

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The object in a file, or `undefined` when there is no such file. */
async function readJson(file: string, signal: AbortSignal | undefined): Promise<Json | undefined> {
  throwIfAborted(signal)
  let text: string
  try {
    text = await readFile(file, { encoding: 'utf8' })
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    throw new EngineError('io', `${file}: expected a readable file, got ${reason(cause)}`, { file, cause })
  }
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

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
