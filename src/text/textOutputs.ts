/** Which states of which text encoder the Stable Diffusion families read, and what they are told of sizes. */

import { EngineError } from '../errors'

/** `'sd'`: Stable Diffusion 1 and 2. */
export type TextFamily = 'sd' | 'sdxl' | 'sdxl-refiner'

/** What is asked of one encoder, by names of its output ports. */
export interface EncoderOutputs {
  readonly encoder: 'text_encoder' | 'text_encoder_2'
  /** Shape [77, D]; those of several encoders are joined along D. */
  readonly states: string
  /** The pooled vector, of a prompt's first window; `undefined` when the denoiser reads none from this encoder. */
  readonly pooled: string | undefined
}

/**
 * The outputs a family reads, as diffusers' pipelines.
 *
 * SD1 and SD2 read the last state behind the final norm; SDXL the last but one without it, and the projected pooled
 * vector of its second encoder.
 *
 * @param clipSkip - layers left out at the end, as in diffusers; the web UI's "Clip skip 2" is 1. The states of an earlier
 * layer pass the final norm where the last ones do.
 * @param layers - of each encoder that is read, in order.
 * @throws {@link EngineError} `invalid-option` when that leaves no layer.
 */
export function textOutputs(
  family: TextFamily,
  clipSkip: number,
  layers: readonly number[],
): readonly EncoderOutputs[] {
  const fewest = Math.min(...layers)
  const most = family === 'sd' ? fewest - 1 : fewest - 2
  if (!Number.isInteger(clipSkip) || clipSkip < 0 || clipSkip > most) {
    const message = `clipSkip: expected a whole number from 0 to ${most}, for text encoders of ${fewest} layers, got ${clipSkip}`
    throw new EngineError('invalid-option', message, { option: 'clipSkip', most, got: clipSkip })
  }
  const early = `hidden_states.-${clipSkip + 2}`
  const second: EncoderOutputs = { encoder: 'text_encoder_2', states: early, pooled: 'text_embeds' }
  switch (family) {
    case 'sd': {
      const states = clipSkip === 0 ? 'last_hidden_state' : `normed_hidden_states.-${clipSkip + 1}`
      return [{ encoder: 'text_encoder', states, pooled: undefined }]
    }
    case 'sdxl':
      return [{ encoder: 'text_encoder', states: early, pooled: undefined }, second]
    case 'sdxl-refiner':
      return [second]
    default:
      return family satisfies never
  }
}

/**
 * Whether guidance is away from zeros instead of away from an empty prompt: SDXL's base model was trained so.
 *
 * @param negativePrompt - as the caller gave it; an empty string is a prompt.
 * @param settings - of `model_index.json`; zeros when it says nothing, as diffusers' SDXL classes have it.
 */
export function negativeIsZeros(
  family: TextFamily,
  negativePrompt: string | undefined,
  settings: { readonly force_zeros_for_empty_prompt?: unknown },
): boolean {
  return family !== 'sd' && negativePrompt === undefined && settings.force_zeros_for_empty_prompt !== false
}

/** Pixels, [height, width] or [top, left]. */
export type Pair = readonly [number, number]

/**
 * What SDXL is told of sizes: `time_ids`, [height, width] of the training picture, [top, left] of its crop, [height, width]
 * of the picture to make.
 *
 * @returns shape [6]
 */
export function sizeConditions(original: Pair, crop: Pair, target: Pair): Float32Array {
  return Float32Array.of(...original, ...crop, ...target)
}

/**
 * What SDXL's refiner is told instead of the target's size: how well people would rate the picture.
 *
 * @param score - diffusers gives 6 for the prompt and 2.5 for the negative one.
 * @returns shape [5]
 */
export function aestheticConditions(original: Pair, crop: Pair, score: number): Float32Array {
  return Float32Array.of(...original, ...crop, score)
}
