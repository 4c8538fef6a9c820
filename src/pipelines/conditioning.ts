/** Prompts to what the denoiser attends to, and what there is to say about a prompt. */

import { EngineError, throwIfAborted } from '../errors'
import { FAR_SIMILARITY, type LabelIndex } from '../text/nearestLabels'
import type { Encoding, Tokenizer } from '../text/tokenizer'
import type { GenerateWarning } from './result'

/** A prompt as the denoiser attends to it. */
export interface TextState {
  /** The text encoder's last hidden state. Shape [textLength, D]. */
  readonly hidden: Float32Array
  /** How many of its tokens are the prompt's: attention stops there. */
  readonly length: number
}

/** Runs the text encoder; gives the last hidden state of each row. Shape [textLength, D]. */
export type TextEncoder = (rows: readonly Encoding[], signal: AbortSignal) => Promise<readonly Float32Array[]>

/** What turns prompts into text states. */
export interface TextReader {
  readonly tokenizer: Tokenizer
  readonly textLength: number
  readonly encoder: TextEncoder
  readonly labels: LabelIndex | undefined
}

/**
 * The prompt and its opposite as text states, in one run of the encoder.
 *
 * @param prompt - not empty.
 * @param negativePrompt - may be empty: what training used where it left captions out.
 */
export async function readPrompts(
  reader: TextReader,
  prompt: string,
  negativePrompt: string,
  signal: AbortSignal,
): Promise<{ readonly cond: TextState; readonly uncond: TextState; readonly warnings: readonly GenerateWarning[] }> {
  throwIfAborted(signal)
  const { tokenizer, textLength } = reader
  const encodings = [await tokenizer.encode(prompt, textLength), await tokenizer.encode(negativePrompt, textLength)]
  throwIfAborted(signal)
  const hidden = await reader.encoder(encodings, signal)
  const [cond, uncond] = encodings.map(({ length }, i) => ({ hidden: hidden[i], length })).filter(isState)
  if (cond === undefined || uncond === undefined) {
    throw new EngineError('internal', `text encoder: expected 2 results, got ${hidden.length}`)
  }
  return { cond, uncond, warnings: [...encodings.flatMap(truncation), ...strangeness(reader.labels, prompt)] }
}

function isState(state: { hidden: Float32Array | undefined; length: number }): state is TextState {
  return state.hidden !== undefined
}

function truncation({ ids, tokens, truncated }: Encoding): GenerateWarning[] {
  if (!truncated) return []
  const message = `the prompt has ${tokens} tokens, the model reads ${ids.length}; the rest was cut off`
  return [{ code: 'prompt-truncated', message, tokens, limit: ids.length }]
}

function strangeness(labels: LabelIndex | undefined, prompt: string): GenerateWarning[] {
  const found = labels?.nearest(prompt)
  if (found === undefined || found.similarity >= FAR_SIMILARITY) return []
  const names = found.nearest.length === 0 ? 'nothing is near' : `nearest: ${found.nearest.join(', ')}`
  const message = `the prompt is far from everything the model was trained on (${names})`
  return [{ code: 'far-from-training', message, nearest: found.nearest }]
}
