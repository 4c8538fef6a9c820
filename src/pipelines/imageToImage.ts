/**
 * Image to image: runs start from a picture's latent with the noise of a later level (Meng et al. 2021, "SDEdit",
 * arXiv:2108.01073, algorithm 1). The step it starts at is diffusers': of n steps the last n * strength are taken, cut, or
 * rounded up for flow models.
 */

import { EngineError } from '../errors'
import type { SamplingPlan } from '../samplers/schedules/fromConfig'
import type { HostLatent } from '../tensor/latent'
import type { Canvas } from './canvas'
import { type Draw, encodedLatent, type LatentScaling, type LatentSize, noised, type PictureNoise } from './latents'

/** What an encoder made of a picture. */
export interface Encoded {
  /** Shape [h, w, C], or [h, w, 2 C] for a distribution. */
  readonly output: Float32Array
  readonly size: LatentSize
  readonly scaling: LatentScaling
}

/** Whether a latent must be drawn, with noise. */
export function isDrawn({ output, size }: Encoded): boolean {
  return output.length === 2 * size.channels * size.height * size.width
}

/** The latent of a picture, drawn where the encoder gave a distribution. */
export function latentOf({ output, size, scaling }: Encoded, noise: PictureNoise, draw: Draw): HostLatent {
  return encodedLatent(output, size, scaling, () => noise.draw(draw))
}

/** A picture under noise. */
export function pictureCanvas(init: Encoded): Canvas {
  return {
    draws: isDrawn(init) ? ['init', 'initial'] : ['initial'],
    begin: (noise, plan) => ({ start: noised(latentOf(init, noise, 'init'), noise.draw('initial'), firstLevel(plan)) }),
  }
}

/** Latents under noise, one for each picture: the second of two passes. */
export function latentCanvas(latents: readonly HostLatent[]): Canvas {
  return {
    draws: ['initial'],
    begin(noise, plan, index) {
      const latent = latents[index]
      if (latent === undefined) throw new EngineError('internal', `latentCanvas: expected a latent ${index}, got none`)
      return { start: noised(latent, noise.draw('initial'), firstLevel(plan)) }
    },
  }
}

/** The level a run starts at. */
export function firstLevel({ schedule }: SamplingPlan) {
  const level = schedule.levels[schedule.first]
  if (level === undefined) throw new EngineError('internal', 'schedule: expected a first level, got none')
  return level
}
