/** What text-to-image needs of a model, whatever runs it. */

import type { TextReader, TextState } from './conditioning'
import type { PipelineDefaults } from './defaults'
import type { Denoiser } from './denoise'
import type { LatentScaling, LatentSize } from './latents'

/** A picture as networks see it: channels last, float32. */
export interface FloatPicture {
  /** Shape [height, width, 3]. */
  readonly data: Float32Array
  readonly width: number
  readonly height: number
}

/** A loaded text-to-image model. */
export interface TextToImageModel {
  /** The bundled model's name or the folder's. */
  readonly name: string
  /** Start of a hash over the identity of all weights. */
  readonly hash: string
  readonly device: { readonly backend: string; readonly arithmetic: string }
  readonly dtype: string
  readonly defaults: PipelineDefaults
  /** Parsed `scheduler_config.json`. */
  readonly schedulerConfig: unknown
  readonly latentSize: LatentSize
  readonly latentScaling: LatentScaling
  readonly reader: TextReader
  readonly denoiser: Denoiser
  /**
   * Runs what depends on texts and times alone for a whole schedule at once, so that steps find it done; what depends on
   * the texts is kept until the result is disposed.
   */
  prepare(times: readonly number[], texts: readonly TextState[], signal: AbortSignal): Promise<Disposable>
  /** Latents [h, w, C] to pictures whose values are 0 to 1. */
  decode(latents: readonly Float32Array[], signal: AbortSignal): Promise<readonly FloatPicture[]>
  /** One pass of the upscaler over a picture whose values are 0 to 1, which its result may exceed; `undefined` for none. */
  readonly upscale: ((picture: FloatPicture, signal: AbortSignal) => Promise<FloatPicture>) | undefined
}
