/** What a family of models is to a pipeline: data about its components, and how its prompts become text states. */

import type { TextualInversion } from '../../text/textualInversion'
import type { ModelDescription } from '../../weights'
import type { TextReader } from '../conditioning'
import type { FolderSettings } from '../defaults'
import type { PipelineNetwork } from '../network'
import type { DenoiserParts } from '../textLeases'

/** Opens components of one model. */
export interface ModelSource {
  readonly description: ModelDescription
  /** @throws {@link EngineError} `unsupported-model` when it is of another class; what opening its files throws. */
  open(component: string, classNames: readonly string[]): Promise<PipelineNetwork>
}

/** What a family found in a model. */
export interface FamilyParts {
  readonly denoiser: Omit<DenoiserParts, 'controlNets' | 'pixelsPerCell'>
  /** Cells of the side that is drawn when nothing is asked for. */
  readonly cells: number
  /** Whether that side is the only one. */
  readonly fixedSize: boolean
  /** Most tokens of a prompt. */
  readonly textLength: number
  /** Whether the denoiser reads a mask and what is around it. */
  readonly readsMask: boolean
  /** Whether prompts are read in windows. */
  readonly windows: boolean
  /** D of each text encoder that reads embeddings (textual inversion); none where the family reads none. */
  readonly textWidths: readonly number[]
  /** Whether the denoiser is told the guidance scale. */
  readonly embedsGuidance: boolean
  /** Factor of latents where the autoencoder's config names none. */
  readonly latentScale: number
  readonly steps: number
  readonly guidance: number
  /** Other files that decide what pictures look like. */
  readonly files: readonly string[]
  /**
   * Makes the text encoders ready and the reader of prompts.
   *
   * @param inversions - embeddings that prompts may name, with vectors of `textWidths`.
   */
  reader(
    settings: FolderSettings,
    signal: AbortSignal | undefined,
    inversions: readonly TextualInversion[],
  ): Promise<TextReader>
}

export interface Family {
  /** Classes of diffusers' pipelines that it stands for. */
  readonly pipelineClasses: readonly string[]
  open(source: ModelSource): Promise<FamilyParts>
}
