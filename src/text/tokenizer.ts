/** Tokenizers: prompts to token ids of a fixed length, from the `tokenizer.json` of a model folder. */

import path from 'node:path'
import { EngineError, throwIfAborted } from '../errors'
import { type Boundary, boundaryOf, piecesOf } from './pieces'
import {
  encodeIds,
  encodeInTurns,
  invalidTokenizer,
  isId,
  isObject,
  type Json,
  readJsonObject,
  type TokenizerModel,
  tokenizerModel,
} from './tokenizerLibrary'

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
  const definition = await readJsonObject(file, options.signal)
  if (definition === undefined) {
    throw new EngineError('missing-file', `tokenizer: expected ${file}, got no such file`, { file })
  }
  const config = (await readJsonObject(path.join(folder, 'tokenizer_config.json'), options.signal)) ?? {}
  const { model_max_length: limit, pad_token: padToken } = config
  const maxLength =
    typeof limit === 'number' && Number.isSafeInteger(limit) && limit > 0 && limit < 1e6 ? limit : undefined
  try {
    const model = await tokenizerModel(definition, config)
    encodeIds(model, 'a') // a file that describes no tokenizer often fails only here
    const padding = paddingId(model, definition, padToken)
    throwIfAborted(options.signal)
    return makeTokenizer(model, file, padding, maxLength, boundaryOf(definition))
  } catch (cause) {
    if (options.signal?.aborted) throw cause
    throw invalidTokenizer(file, 'a tokenizer', cause)
  }
}

function makeTokenizer(
  model: TokenizerModel,
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
        throw invalidTokenizer(file, 'ids', cause)
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
async function encodePieces(model: TokenizerModel, pieces: readonly string[]): Promise<readonly number[]> {
  const [whole, ...others] = pieces
  if (whole !== undefined && others.length === 0) return encodeIds(model, whole)
  const bodies = await encodeInTurns(model, pieces)
  // Start and end tokens stand around a body of one token as they do around any other.
  const [sample, around] = [encodeIds(model, 'a', false), encodeIds(model, 'a')]
  const at = around.findIndex((_, start) => sample.every((id, i) => around[start + i] === id))
  const [before, after] = [around.slice(0, at), around.slice(at + sample.length)]
  const known = at >= 0 && String([...before, ...after]) === String(encodeIds(model, ''))
  return known ? [...before, ...bodies, ...after] : encodeIds(model, pieces.join(''))
}

/** Refuses what is no prompt at all; emptiness is the caller's business. */
export function checkPrompt(prompt: unknown): void {
  if (typeof prompt !== 'string') {
    throw new EngineError('invalid-option', `prompt: expected a string, got ${typeof prompt}`, { option: 'prompt' })
  }
  if (prompt.length > MAX_PROMPT_CHARACTERS) {
    const message = `prompt: expected at most ${MAX_PROMPT_CHARACTERS} characters, got ${prompt.length}`
    throw new EngineError('invalid-option', message, { option: 'prompt', got: prompt.length })
  }
}

/** The id of the token that fills up, from the config, else from `tokenizer.json`'s padding, else 0. */
function paddingId(model: TokenizerModel, definition: Json, padToken: unknown): number {
  const content = isObject(padToken) ? padToken.content : padToken
  const named = typeof content === 'string' ? model.token_to_id(content) : undefined
  if (isId(named)) return named
  const { padding } = definition
  const id = isObject(padding) ? padding.pad_id : undefined
  if (id === undefined || id === null) return 0
  if (isId(id)) return id
  throw new Error(`padding.pad_id ${JSON.stringify(id)}`)
}
