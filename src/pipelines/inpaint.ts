/**
 * Inpainting: a part of a picture is drawn anew, in two ways.
 *
 * Models for any picture: at every level the kept part of the latent is replaced by the picture's own under that level's
 * noise (Lugmayr et al. 2022, "RePaint", arXiv:2201.09865, eq. 8, without its resampling). Models trained for it read
 * the mask and what is around it as further channels (Rombach et al. 2022, arXiv:2112.10752, section 4.5).
 */

import { cellMask } from '../images/mask'
import { type HostLatent, hostLatent } from '../tensor/latent'
import type { Canvas } from './canvas'
import { type Encoded, firstLevel, isDrawn, latentOf } from './imageToImage'
import { type Draw, initialLatent, joinChannels, noised, type PictureNoise } from './latents'
import type { FloatPicture } from './picture'
import type { PixelSize } from './sizes'

/** A picture and its mask. */
export interface Masked {
  readonly init: Encoded
  /** 1 where it is drawn anew. Shape [H, W]. */
  readonly mask: Float32Array
  readonly size: PixelSize
  /** The picture without what is drawn anew, as the encoder gives it; for models that read it. */
  readonly around: Encoded | undefined
  /** Share of the noise; at 1 a run starts from noise alone. */
  readonly strength: number
}

/** The picture with a hole: grey, the middle of the range, where it is drawn anew. */
export function withoutMasked({ data, width, height }: FloatPicture, mask: Float32Array): FloatPicture {
  return { data: data.map((value, i) => (mask[Math.floor(i / 3)] === 1 ? 0.5 : value)), width, height }
}

/** A picture of which the masked part is drawn anew. */
export function maskedCanvas({ init, mask, size, around, strength }: Masked): Canvas {
  const cells = cellMask(mask, size, init.size) // [h, w]
  return {
    draws: draws(init, around !== undefined, strength),
    begin(noise, plan) {
      const picture = around === undefined || strength < 1 ? latentOf(init, noise, 'init') : undefined
      const start =
        picture === undefined || strength === 1
          ? initialLatent(noise, plan.initialScale)
          : noised(picture, noise.draw('initial'), firstLevel(plan))
      if (around !== undefined) return { start, beside: besideOf(around, cells, noise) }
      if (picture === undefined) return { start }
      return {
        start,
        edit: (x, level) => keep(x, level.sigma === 0 ? picture : noised(picture, noise.draw('initial'), level), cells),
      }
    },
  }
}

/** The order in which diffusers' pipeline draws, with what it draws and does not use. */
function draws(init: Encoded, reads: boolean, strength: number): readonly Draw[] {
  if (!isDrawn(init)) return ['initial']
  return reads && strength === 1 ? ['initial', 'masked'] : ['init', 'initial', 'masked']
}

/** The mask and the latent of what is around it, beside each cell. Shape [h, w, 1 + C]. */
function besideOf(around: Encoded, cells: Float32Array, noise: PictureNoise): Float32Array {
  return joinChannels([cells, latentOf(around, noise, 'masked').data], cells.length)
}

/** m x + (1 - m) kept, for a mask of ones and zeros. */
function keep(x: HostLatent, kept: HostLatent, cells: Float32Array): HostLatent {
  const channels = x.data.length / cells.length
  const from = (i: number) => (cells[Math.floor(i / channels)] === 1 ? x.data[i] : kept.data[i])
  return hostLatent(
    x.data.map((_, i) => from(i) ?? Number.NaN),
    x.shape,
  )
}
