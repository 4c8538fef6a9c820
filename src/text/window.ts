/** Windows: stretches of a prompt as long as CLIP's encoders read, each with its own start and end. */

import type { ClipTokenizer } from './clipTokenizer'

/** Tokens of a window, start and end included: the positions CLIP was trained with. */
export const WINDOW_LENGTH = 77
/** Tokens of text in a window. */
export const WINDOW_TOKENS = WINDOW_LENGTH - 2

/** One row of a text encoder. */
export interface PromptWindow {
  /** Start, text, end, padding; 0 where a vector replaces a token. Shape [77]. */
  readonly ids: Int32Array
  /** What states are multiplied by; `undefined` when all are 1. Shape [77]. */
  readonly weights: Float32Array | undefined
  /** Vectors of textual inversion, by position. */
  readonly overrides: readonly TokenOverride[]
}

/** A vector that takes the place of a row of the token table. Shape [D]. */
export interface TokenOverride {
  readonly position: number
  readonly vector: Float32Array
}

/** A token of a prompt before it has a place. */
export interface WeightedToken {
  readonly id: number
  readonly weight: number
  readonly vector?: Float32Array
}

/** The window of up to 75 tokens. */
export function makeWindow(tokens: readonly WeightedToken[], tokenizer: ClipTokenizer): PromptWindow {
  const ids = new Int32Array(WINDOW_LENGTH).fill(tokenizer.pad)
  ids[0] = tokenizer.bos
  for (const [i, { id }] of tokens.entries()) ids[1 + i] = id
  ids[1 + tokens.length] = tokenizer.eos
  const weighted = tokens.some(({ weight }) => weight !== 1)
  const weights = weighted ? new Float32Array(WINDOW_LENGTH).fill(1) : undefined
  if (weights) for (const [i, { weight }] of tokens.entries()) weights[1 + i] = weight
  const overrides = tokens.flatMap(({ vector }, i) => (vector === undefined ? [] : [{ position: 1 + i, vector }]))
  return { ids, weights, overrides }
}

/**
 * A prompt with empty windows behind it: those of a prompt, of its negative prompt and of both encoders of SDXL are
 * equally many, as the web UI's `pad_cond_uncond` and diffusers have it.
 */
export function padWindows(
  windows: readonly PromptWindow[],
  count: number,
  tokenizer: ClipTokenizer,
): readonly PromptWindow[] {
  const missing = Math.max(0, count - windows.length)
  return [...windows, ...Array.from({ length: missing }, () => makeWindow([], tokenizer))]
}

/**
 * What a text encoder with room for vectors is given beside the ids: for each token the row it is taken from, its own or
 * one behind them, and those rows.
 *
 * @param width - D of the encoder.
 * @param room - E, rows for vectors.
 * @returns `token_rows` [77] and `extra_embeddings` [E, D].
 */
export function overrideInputs(
  { overrides }: PromptWindow,
  width: number,
  room: number,
): { readonly token_rows: Int32Array; readonly extra_embeddings: Float32Array } {
  if (overrides.length > room) throw new RangeError(`expected at most ${room} vectors, got ${overrides.length}`)
  const rows = Int32Array.from({ length: WINDOW_LENGTH }, (_, i) => i)
  const vectors = new Float32Array(room * width)
  for (const [i, { position, vector }] of overrides.entries()) {
    rows[position] = WINDOW_LENGTH + i
    vectors.set(vector, i * width)
  }
  return { token_rows: rows, extra_embeddings: vectors }
}
