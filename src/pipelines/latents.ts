/** Latents of a request: where they start, their layout, and what the decoder wants. */

import { philoxNoise, type RequestNoise, torchNoise } from '../samplers/noise'
import { asHost, type HostLatent, hostLatent, lincomb } from '../tensor/latent'
import type { Rng } from './generateOptions'

/** Sizes of a latent: channels and cells. */
export interface LatentSize {
  readonly channels: number
  readonly height: number
  readonly width: number
}

/** How an autoencoder's latents are scaled for the denoiser: scaled = (latent - shift) * scale. */
export interface LatentScaling {
  readonly scale: number
  readonly shift: number
}

/**
 * The noise of one picture, drawn in the frameworks' order [C, h, w] and laid out as the networks read it, [h, w, C].
 *
 * @param rng - generator.
 * @param seed - of this picture.
 */
export function pictureNoise(rng: Rng, seed: bigint, size: LatentSize): RequestNoise {
  const shape = [size.channels, size.height, size.width]
  const noise = rng === 'philox' ? philoxNoise(seed, shape) : torchNoise(seed, shape)
  return {
    initial: channelsLast(noise.initial, size),
    between: (from, to) => channelsLast(noise.between(from, to), size),
  }
}

/** `C h w -> h w C`. */
function channelsLast(latent: HostLatent, { channels, height, width }: LatentSize): HostLatent {
  const cells = height * width
  const data = new Float32Array(latent.data.length) // [h, w, C]
  for (let c = 0; c < channels; c++) {
    for (let cell = 0; cell < cells; cell++) data[cell * channels + c] = latent.data[c * cells + cell] ?? Number.NaN
  }
  return hostLatent(data, [height, width, channels])
}

/** The latent a run starts from: noise of the standard deviation that its schedule begins with. */
export function initialLatent(noise: RequestNoise, scale: number): HostLatent {
  return scale === 1 ? noise.initial : lincomb([scale, noise.initial])
}

/** What the decoder is given: latent = scaled / scale + shift. Shape [h, w, C]. */
export function decoderInput(latent: HostLatent, { scale, shift }: LatentScaling): Float32Array {
  const { data } = asHost(lincomb([1 / scale, latent]))
  return shift === 0 ? data : data.map((value) => value + shift)
}
