/** Prompts to what the denoiser attends to, and what there is to say about a prompt. */

import type { PromptSyntax } from '../text/promptSyntax'
import type { GenerateWarning } from './result'

/** A prompt as the denoiser attends to it. */
export interface TextState {
  /** The denoiser's inputs that follow from the prompt alone, by graph name. */
  readonly inputs: Readonly<Record<string, Float32Array | Int32Array>>
  /** Tokens the denoiser is compiled for, of which the prompt may have fewer. It follows from the prompt alone. */
  readonly textLength: number
}

/** What a picture is to show, and what to stay away from. */
export interface PromptPair {
  readonly prompt: string
  /** `undefined` where nothing was said: some models have their own emptiness for that. */
  readonly negativePrompt: string | undefined
}

/** A pair as text states. */
export interface TextPair {
  readonly cond: TextState
  readonly uncond: TextState
}

/** How prompts are read, for families that read them in windows. */
export interface TextOptions {
  readonly syntax: PromptSyntax
  /** Layers of the text encoders that are left out at the end. */
  readonly clipSkip: number
}

/** Turns prompts into text states, in one run of each encoder. */
export interface TextReader {
  /** @returns one pair for each given, the same objects for the same prompts. */
  read(
    pairs: readonly PromptPair[],
    options: TextOptions,
    signal: AbortSignal,
  ): Promise<{ readonly pairs: readonly TextPair[]; readonly warnings: readonly GenerateWarning[] }>
}
