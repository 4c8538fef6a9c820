/** Text of families that read a prompt once, cut or padded to a fixed length, of which attention sees the prompt alone. */

import { EngineError, throwIfAborted } from '../errors'
import { FAR_SIMILARITY, type LabelIndex } from '../text/nearestLabels'
import type { Encoding, Tokenizer } from '../text/tokenizer'
import type { TextReader, TextState } from './conditioning'
import type { GenerateWarning } from './result'

/** What reads a prompt. */
export interface PaddedText {
  readonly tokenizer: Tokenizer
  readonly textLength: number
  /** Runs the text encoder; gives the last hidden state of each row. Shape [textLength, D]. */
  readonly encoder: (rows: readonly Encoding[], signal: AbortSignal) => Promise<readonly Float32Array[]>
  /** Makes a state of a prompt's hidden states and the number of its tokens. */
  readonly state: (hidden: Float32Array, length: number) => TextState
  readonly labels: LabelIndex | undefined
  /** What of a prompt is compared with the labels. */
  readonly subject: (prompt: string) => string
}

/** A reader whose empty negative prompt is what training used where it left captions out: no words. */
export function paddedReader({ tokenizer, textLength, encoder, state, labels, subject }: PaddedText): TextReader {
  return {
    async read(pairs, _options, signal) {
      throwIfAborted(signal)
      const texts = [...new Set(pairs.flatMap(({ prompt, negativePrompt = '' }) => [prompt, negativePrompt]))]
      const encodings: Encoding[] = []
      for (const text of texts) encodings.push(await tokenizer.encode(text, textLength))
      throwIfAborted(signal)
      const hidden = await encoder(encodings, signal)
      const states = new Map(texts.map((text, i) => [text, made(state, encodings[i], hidden[i])]))
      const stateOf = (text: string): TextState => {
        const found = states.get(text)
        if (found === undefined) throw new EngineError('internal', 'text encoder: expected a state of every prompt')
        return found
      }
      const prompts = new Set(pairs.map(({ prompt }) => prompt))
      return {
        pairs: pairs.map(({ prompt, negativePrompt = '' }) => ({
          cond: stateOf(prompt),
          uncond: stateOf(negativePrompt),
        })),
        warnings: [
          ...encodings.flatMap(truncation),
          ...[...prompts].flatMap((prompt) => strangeness(labels, subject(prompt))),
        ],
      }
    },
  }
}

function made(state: PaddedText['state'], encoding: Encoding | undefined, hidden: Float32Array | undefined): TextState {
  if (encoding !== undefined && hidden !== undefined) return state(hidden, encoding.length)
  throw new EngineError('internal', 'text encoder: expected a result for every row, got fewer')
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
