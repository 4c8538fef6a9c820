/** Text of Stable Diffusion: prompts in windows of CLIP's length, one or two encoders, weights of words. */

import { applyWeights } from '../text/applyWeights'
import type { ClipTokenizer } from '../text/clipTokenizer'
import { joinChannels, joinWindows } from '../text/joinStates'
import { type PromptWindows, promptWindows } from '../text/promptWindows'
import { type TextFamily, textOutputs } from '../text/textOutputs'
import { placeholdersFor, type TextualInversion } from '../text/textualInversion'
import { overrideInputs, type PromptWindow, padWindows, WINDOW_LENGTH, WINDOW_TOKENS } from '../text/window'
import type { TextOptions, TextReader, TextState } from './conditioning'
import type { PipelineNetwork } from './network'
import type { GenerateWarning } from './result'

/** One text encoder. */
export interface ClipEncoder {
  readonly network: PipelineNetwork
  readonly tokenizer: ClipTokenizer
  /** D. */
  readonly width: number
  readonly layers: number
}

/** What reads a prompt. */
export interface WindowedText {
  readonly family: TextFamily
  readonly encoders: readonly ClipEncoder[]
  /** Embeddings that prompts may name; they fit the encoders. */
  readonly inversions: readonly TextualInversion[]
  /** Whether guidance is away from zeros where there is no such negative prompt. */
  readonly zeros: (negativePrompt: string | undefined) => boolean
}

/**
 * Windows the denoiser is compiled for. A prompt takes the smallest that holds it, with its negative prompt, so that up
 * to 225 tokens share a batch; attention reads the prompt's own windows alone.
 */
const COMPILED_WINDOWS = [3, 8, 16, 32]
const MAX_WINDOWS = 32

/** A prompt in the windows of each encoder. */
type Read = readonly PromptWindows[]

/** What an encoder made of a window: its states, and its pooled vector where the family reads one. */
interface Encoded {
  readonly states: Float32Array
  readonly pooled: Float32Array | undefined
}

/** Makes the encoders ready for prompts of which no layer is left out. */
export async function loadEncoders(
  family: TextFamily,
  encoders: readonly Omit<ClipEncoder, 'tokenizer'>[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const outputs = textOutputs(
    family,
    0,
    encoders.map(({ layers }) => layers),
  )
  for (const [i, { network }] of encoders.entries()) {
    const { states, pooled } = outputs[i] ?? {}
    const wanted = [states, pooled].filter((name) => name !== undefined)
    await network.load({ sizes: { textLength: WINDOW_LENGTH }, outputs: wanted }, signal)
  }
}

export function windowedReader({ family, encoders, inversions, zeros }: WindowedText): TextReader {
  const layers = encoders.map((encoder) => encoder.layers)
  const placeholders = encoders.map((_, i) => placeholdersFor(inversions, i))

  /** Runs every encoder once over all windows that differ. */
  async function encodeAll(
    windows: readonly (readonly PromptWindow[])[],
    { clipSkip }: TextOptions,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<PromptWindow, Encoded>[]> {
    const outputs = textOutputs(family, clipSkip, layers)
    const made: Map<PromptWindow, Encoded>[] = []
    for (const [i, encoder] of encoders.entries()) {
      const { states = '', pooled } = outputs[i] ?? {}
      made.push(await encode(encoder, windows[i] ?? [], states, pooled, signal))
    }
    return made
  }

  return {
    async read(pairs, options, signal) {
      const reads = new Map<string, Read>()
      const warnings: GenerateWarning[] = []
      for (const text of new Set(pairs.flatMap(({ prompt, negativePrompt = '' }) => [prompt, negativePrompt]))) {
        const read: PromptWindows[] = []
        for (const [i, { tokenizer }] of encoders.entries()) {
          const { syntax } = options
          const words = placeholders[i] ?? []
          read.push(
            await promptWindows(tokenizer, text, { syntax, maxWindows: MAX_WINDOWS, placeholders: words, signal }),
          )
        }
        reads.set(text, read)
        warnings.push(...truncation(read))
      }
      const padded = new PaddedWindows(encoders, reads)
      const plans = pairs.map(({ prompt, negativePrompt }) => {
        const count = Math.max(windowsOf(reads.get(prompt)), windowsOf(reads.get(negativePrompt ?? '')))
        return { count, prompt, negativePrompt }
      })
      for (const { count, prompt, negativePrompt } of plans) {
        padded.add(prompt, count)
        if (!zeros(negativePrompt)) padded.add(negativePrompt ?? '', count)
      }
      const encoded = await encodeAll(padded.distinct(), options, signal)
      const states = new Map<string, TextState>()
      const stateOf = (text: string | undefined, count: number): TextState => {
        const key = `${count} ${text === undefined ? '' : `"${text}`}`
        const state =
          states.get(key) ?? makeState(encoders, text === undefined ? [] : padded.get(text, count), encoded, count)
        states.set(key, state)
        return state
      }
      return {
        pairs: plans.map(({ count, prompt, negativePrompt }) => ({
          cond: stateOf(prompt, count),
          uncond: stateOf(zeros(negativePrompt) ? undefined : (negativePrompt ?? ''), count),
        })),
        warnings,
      }
    },
  }
}

const windowsOf = (read: Read | undefined) => Math.max(1, ...(read ?? []).map(({ windows }) => windows.length))

/** Windows of prompts, padded to counts; equal windows are one object. */
class PaddedWindows {
  readonly #encoders: readonly ClipEncoder[]
  readonly #reads: ReadonlyMap<string, Read>
  readonly #windows = new Map<string, readonly (readonly PromptWindow[])[]>()
  readonly #known: Map<string, PromptWindow>[]

  constructor(encoders: readonly ClipEncoder[], reads: ReadonlyMap<string, Read>) {
    this.#encoders = encoders
    this.#reads = reads
    this.#known = encoders.map(() => new Map())
  }

  add(text: string, count: number): void {
    const key = `${count} ${text}`
    if (this.#windows.has(key)) return
    const read = this.#reads.get(text) ?? []
    const windows = this.#encoders.map(({ tokenizer }, i) =>
      padWindows(read[i]?.windows ?? [], count, tokenizer).map((window) => this.#one(i, window)),
    )
    this.#windows.set(key, windows)
  }

  /** By encoder. */
  get(text: string, count: number): readonly (readonly PromptWindow[])[] {
    return this.#windows.get(`${count} ${text}`) ?? []
  }

  /** By encoder, all that differ. */
  distinct(): readonly (readonly PromptWindow[])[] {
    return this.#known.map((windows) => [...windows.values()])
  }

  #one(encoder: number, window: PromptWindow): PromptWindow {
    const known = this.#known[encoder]
    const overrides = window.overrides.map(({ position, vector }) => [position, ...vector])
    const key = JSON.stringify([[...window.ids], window.weights && [...window.weights], overrides])
    const same = known?.get(key)
    if (same) return same
    known?.set(key, window)
    return window
  }
}

async function encode(
  { network, width }: ClipEncoder,
  windows: readonly PromptWindow[],
  states: string,
  pooled: string | undefined,
  signal: AbortSignal,
): Promise<Map<PromptWindow, Encoded>> {
  const derive = network.model.ports.inputs.flatMap((port) => (port.kind === 'ids' && port.derive ? [port.derive] : []))
  const outputs = pooled === undefined ? [states] : [states, pooled]
  const encoded = new Map<PromptWindow, Encoded>()
  // Windows without vectors run in the network without room for them, which is there already.
  for (const extraTokens of [0, WINDOW_TOKENS]) {
    const some = windows.filter(({ overrides }) => overrides.length > 0 === extraTokens > 0)
    if (some.length === 0) continue
    const rows = some.map((window) => ({
      inputs: {
        input_ids: window.ids,
        text_length: Int32Array.of(WINDOW_LENGTH), // no mask: padding is read as any other token
        ...(pooled === undefined
          ? {}
          : Object.fromEntries(derive.map(({ input, from }) => [input, Int32Array.of(from(window.ids))]))),
        ...(extraTokens === 0 ? {} : overrideInputs(window, width, extraTokens)),
      },
    }))
    const sizes = { textLength: WINDOW_LENGTH, ...(extraTokens === 0 ? {} : { extraTokens }) }
    const results = await network.run({ sizes, outputs }, rows, signal)
    for (const [i, window] of some.entries()) {
      const [made = new Float32Array(WINDOW_LENGTH * width), vector] = results[i] ?? []
      encoded.set(window, { states: applyWeights(made, window.weights), pooled: vector })
    }
  }
  return encoded
}

/** The inputs of a prompt: its windows one after the other, encoders side by side; zeros for no windows. */
function makeState(
  encoders: readonly ClipEncoder[],
  windows: readonly (readonly PromptWindow[])[],
  encoded: readonly ReadonlyMap<PromptWindow, Encoded>[],
  count: number,
): TextState {
  const compiled = COMPILED_WINDOWS.find((most) => count <= most) ?? MAX_WINDOWS
  const textLength = compiled * WINDOW_LENGTH
  const parts = encoders.map(({ width }, i) => {
    const states = (windows[i] ?? []).map((window) => encoded[i]?.get(window)?.states ?? new Float32Array(0))
    return joinWindows(states, textLength, width)
  })
  const pooled = encoders.flatMap((_, i) => {
    const first = windows[i]?.[0]
    const anyVector = encoded[i]?.values().next().value?.pooled
    const vector =
      first === undefined ? anyVector && new Float32Array(anyVector.length) : encoded[i]?.get(first)?.pooled
    return vector === undefined ? [] : [vector]
  })
  return {
    inputs: {
      encoder_hidden_states: joinChannels(parts, textLength),
      encoder_length: Int32Array.of(count * WINDOW_LENGTH),
      ...(pooled[0] ? { text_embeds: pooled[0] } : {}),
    },
    textLength,
  }
}

function truncation([read]: Read): GenerateWarning[] {
  if (!read?.truncated) return []
  const limit = MAX_WINDOWS * (WINDOW_LENGTH - 2)
  const message = `the prompt has ${read.tokens} tokens, ${limit} are read; the rest was cut off`
  return [{ code: 'prompt-truncated', message, tokens: read.tokens, limit }]
}
