/** What pipelines need of a model, whatever family it is of and whatever runs it. */

import type { Quantization } from '../compile/passes/quantize'
import type { Styles } from '../text/styles'
import type { TextReader, TextState } from './conditioning'
import type { PipelineDefaults } from './defaults'
import type { Denoiser } from './denoise'
import type { ModelAbilities } from './generateOptions'
import type { NamedInversion } from './inversions'
import type { LatentScaling } from './latents'
import type { LoraRequest, NamedLora } from './loras'
import type { ModelProvenance } from './modelProvenance'
import type { DecodedPicture, FloatPicture } from './picture'
import type { PixelSize, SizeRules } from './sizes'
import type { Tiling, TilingRequest } from './tiling'

/** What one run of the sampler needs of the denoiser, known before its first step. */
export interface SessionPlan {
  /** Of the pictures that are drawn. */
  readonly size: PixelSize
  /** Timesteps of the schedule. */
  readonly times: readonly number[]
  readonly texts: readonly TextState[]
  /** What networks that embed the guidance scale are told. */
  readonly guidance: number
}

/** The denoiser made ready for one run: what depends on texts and times alone is kept until it is disposed. */
export interface DenoiserSession extends Disposable {
  readonly denoise: Denoiser
}

/** Latents and pictures of one autoencoder. */
export interface PictureCodec {
  readonly scaling: LatentScaling
  /** The tiles it works in for pictures of a size; `undefined` for none. */
  tiling(request: TilingRequest, size: PixelSize, signal: AbortSignal): Promise<Tiling | undefined>
  /**
   * Unscaled latents [h, w, C] to pictures.
   *
   * @param size - of the pictures.
   */
  decode(
    latents: readonly Float32Array[],
    size: PixelSize,
    tiling: Tiling | undefined,
    signal: AbortSignal,
  ): Promise<readonly DecodedPicture[]>
  /**
   * Pictures to unscaled latents [h, w, C], or to [h, w, 2 C], the mean and the logarithm of the variance of a normal
   * distribution; `undefined` where the model has no encoder.
   */
  readonly encode?: (
    pictures: readonly FloatPicture[],
    tiling: Tiling | undefined,
    signal: AbortSignal,
  ) => Promise<readonly Float32Array[]>
}

/** Bytes a pipeline holds on its device; on a shared device, all that is held there. */
export interface PipelineMemory {
  /** Packed weights. */
  readonly weightsBytes: number
  /** Kept results of sub-programs: text keys and values, time embeddings. */
  readonly statesBytes: number
  /** Work space. */
  readonly arenaBytes: number
}

/** A loaded model. */
export interface PipelineModel {
  /** The bundled model's name or the folder's. */
  readonly name: string
  /** Start of a hash over the identity of all weights. */
  readonly hash: string
  readonly device: { readonly backend: string; readonly arithmetic: string }
  readonly dtype: string
  readonly quantize: Quantization
  readonly threads: number
  /** Tensors of its files that no network reads, `component/name`. */
  readonly unused: readonly string[]
  readonly defaults: PipelineDefaults
  readonly sizes: SizeRules
  readonly abilities: ModelAbilities
  /** Styles by name, where the folder lists some. */
  readonly styles: Styles | undefined
  /** What it was made of, where the folder says so. */
  readonly provenance: ModelProvenance | undefined
  /** Parsed `scheduler_config.json`. */
  readonly schedulerConfig: unknown
  /** Channels of a latent. */
  readonly latentChannels: number
  /** Side in pixels of what a cell of a latent becomes. */
  readonly pixelsPerCell: number
  readonly reader: TextReader
  /** Names of the ControlNets that were loaded with it, each with the start of its hash. */
  readonly controlNets: readonly string[]
  readonly codec: PictureCodec
  /** What shows pictures on the way, quickly; `undefined` where nothing does. */
  readonly preview: Pick<PictureCodec, 'scaling' | 'decode'> | undefined
  /** Makes the denoiser ready. */
  session(plan: SessionPlan, signal: AbortSignal): Promise<DenoiserSession>
  /** One pass of the upscaler over a picture, whose range its result may exceed; `undefined` for none. */
  readonly upscale: ((picture: FloatPicture, signal: AbortSignal) => Promise<FloatPicture>) | undefined
  /** LoRAs on its weights. */
  readonly loras: readonly NamedLora[]
  /** Embeddings that its prompts may name. */
  readonly inversions: readonly NamedInversion[]
  /** The same model with other LoRAs in place of its own, on the same device; what they do not touch is shared. */
  withLoras(loras: readonly LoraRequest[], signal: AbortSignal | undefined): Promise<PipelineModel>
  memory(): PipelineMemory
  /** Frees networks and weights, and the device when it is the model's own. */
  dispose(): void
}
