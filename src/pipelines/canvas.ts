/** What a run begins with: the part of a pipeline in which text to image, image to image and inpainting differ. */

import type { SamplingPlan } from '../samplers/schedules/fromConfig'
import type { DenoisePicture } from './denoise'
import type { Draw, PictureNoise } from './latents'

/** Where a picture's run starts, and what happens to it on its way. */
export type Beginning = Pick<DenoisePicture, 'start' | 'edit' | 'beside'>

/** What pictures are drawn on. */
export interface Canvas {
  /** Noise that is drawn before the first step, in diffusers' order. */
  readonly draws: readonly Draw[]
  /** @param index - of the picture among those of the run. */
  begin(noise: PictureNoise, plan: SamplingPlan, index: number): Beginning
}
