/** What a pipeline gives back. */

import type { Image } from '../images/image'

/** Milliseconds of a request, by stage. Time spent waiting for other requests is in the stage it was waited in. */
export interface Timings {
  readonly textMs: number
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
  readonly images: readonly Image[]
  /** Seed of the first picture; picture i has `seed + i`. A bigint only beyond 2^53. */
  readonly seed: number | bigint
  readonly timings: Timings
  readonly warnings: readonly GenerateWarning[]
}
