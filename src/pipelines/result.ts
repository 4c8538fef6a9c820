/** What a pipeline gives back. */

import type { Image } from '../images/image'
import type { HostLatent } from '../tensor/latent'
import type { Tensor } from '../tensor/tensor'
import { channelsFirst } from './latents'

/** Milliseconds of a request, by stage. Time spent waiting for other requests is in the stage it was waited in. */
export interface Timings {
  readonly textMs: number
  /** Of pictures to start from; next to nothing without. */
  readonly encodeMs: number
  readonly denoiseMs: number
  readonly decodeMs: number
  readonly upscaleMs: number
  readonly totalMs: number
}

/** Something about a request that its sender should know. */
export type GenerateWarning =
  /** The prompt resembles nothing the model was trained on; `nearest` are the names of what it resembles most. */
  | { readonly code: 'far-from-training'; readonly message: string; readonly nearest: readonly string[] }
  /** The end of a prompt was cut off. */
  | { readonly code: 'prompt-truncated'; readonly message: string; readonly tokens: number; readonly limit: number }

export interface GenerateResult {
  /** In the order of prompts, `count` for each; none with `output: 'latents'`. */
  readonly images: readonly Image[]
  /** With `output: 'latents'` what the denoiser made, scaled as it has them. Shape [pictures, C, h, w]; f32. */
  readonly latents?: Tensor
  /** Seed of the first picture. A bigint only beyond 2^53. */
  readonly seed: number | bigint
  /** Seeds of all pictures. */
  readonly seeds: readonly (number | bigint)[]
  readonly timings: Timings
  readonly warnings: readonly GenerateWarning[]
}

/** Latents [h, w, C] as one tensor [n, C, h, w]. */
export function latentTensor(latents: readonly HostLatent[]): Tensor {
  const [h = 0, w = 0, channels = 0] = latents[0]?.shape ?? []
  const size = h * w * channels
  const data = new Float32Array(latents.length * size)
  for (const [i, latent] of latents.entries()) data.set(channelsFirst(latent), i * size)
  return { dtype: 'f32', shape: [latents.length, channels, h, w], data }
}
