/** Latents of a request: their noise, where they start, their layout, and what autoencoders give and want. */

import type { Level } from '../samplers/level'
import { philoxNoise, torchNoise } from '../samplers/noise'
import { asHost, type HostLatent, hostLatent, lincomb } from '../tensor/latent'
import { philoxNormals } from '../tensor/philox'

/** Where noise comes from: Philox, the same bits everywhere, or PyTorch's CPU generator, to compare with diffusers. */
export type Rng = 'philox' | 'torch-cpu'

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

/** What noise is drawn for besides that of the steps: the start, and the distributions that an encoder gives. */
export type Draw = 'initial' | 'init' | 'masked'

/** The noise of one picture. Each draw has variance 1. */
export interface PictureNoise {
  /** Of a draw that was asked for when the noise was made; the start's always is. */
  draw(what: Draw): HostLatent
  /** Noise between two levels, pure in the seed. */
  between(from: Level, to: Level): HostLatent
}

/** Philox streams of the draws; the start's is that of {@link philoxNoise}, steps have hashes of their levels. */
const STREAMS: Readonly<Record<Exclude<Draw, 'initial'>, bigint>> = { init: 1n, masked: 2n }

/**
 * The noise of one picture, drawn in the frameworks' order [C, h, w] and laid out as the networks read it, [h, w, C].
 *
 * @param rng - generator.
 * @param seed - of this picture.
 * @param order - draws as a pipeline of diffusers makes them before its first step; matters to `torch-cpu`.
 */
export function pictureNoise(
  rng: Rng,
  seed: bigint,
  size: LatentSize,
  order: readonly Draw[] = ['initial'],
): PictureNoise {
  const shape = [size.channels, size.height, size.width]
  const source = rng === 'philox' ? philoxNoise(seed, shape) : torchNoise(seed, shape)
  const drawn = new Map<Draw, HostLatent>()
  for (const [i, what] of order.entries()) {
    const noise = rng === 'philox' ? philoxDraw(seed, what, source.initial) : i === 0 ? source.initial : nth(i)
    drawn.set(what, channelsLast(noise, size))
  }
  /** The torch generator's next draw: an interval that no schedule has names it. */
  function nth(index: number): HostLatent {
    const level = { alpha: -index, sigma: 0, t: 0 }
    return source.between(level, level)
  }
  return {
    draw(what) {
      const noise = drawn.get(what)
      if (noise === undefined) throw new RangeError(`noise: expected a draw of ${order.join(', ')}, got ${what}`)
      return noise
    },
    between: (from, to) => channelsLast(source.between(from, to), size),
  }
}

function philoxDraw(seed: bigint, what: Draw, initial: HostLatent): HostLatent {
  if (what === 'initial') return initial
  return hostLatent(philoxNormals(seed, STREAMS[what], initial.data.length), initial.shape)
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

/** `h w C -> C h w`, the frameworks' order. */
export function channelsFirst({ data, shape }: HostLatent): Float32Array {
  const channels = shape.at(-1) ?? 1
  const cells = data.length / channels
  const planar = new Float32Array(data.length) // [C, h, w]
  for (let c = 0; c < channels; c++) {
    for (let cell = 0; cell < cells; cell++) planar[c * cells + cell] = data[cell * channels + c] ?? Number.NaN
  }
  return planar
}

/** The latent a run starts from: noise of the standard deviation that its schedule begins with. */
export function initialLatent(noise: PictureNoise, scale: number): HostLatent {
  const initial = noise.draw('initial')
  return scale === 1 ? initial : lincomb([scale, initial])
}

/** A latent with the noise of a level: alpha x0 + sigma noise. */
export function noised(x0: HostLatent, noise: HostLatent, { alpha, sigma }: Level): HostLatent {
  return lincomb([alpha, x0], [sigma, noise])
}

/** What the decoder is given: latent = scaled / scale + shift. Shape [h, w, C]. */
export function decoderInput(latent: HostLatent, { scale, shift }: LatentScaling): Float32Array {
  const { data } = asHost(lincomb([1 / scale, latent]))
  return shift === 0 ? data : data.map((value) => value + shift)
}

/** Range of the logarithm of the variance, as diffusers cuts it. */
const [LOG_VARIANCE_MIN, LOG_VARIANCE_MAX] = [-30, 20]

/**
 * What the denoiser is given of an encoder's output: scaled = (z - shift) scale, z drawn from the distribution where the
 * output is one: z = mean + exp(logvar / 2) noise (Kingma, Welling 2014, arXiv:1312.6114, section 2.4).
 *
 * @param output - shape [h, w, C] or [h, w, 2 C].
 * @param draw - gives the noise; not called for an output that is a latent already.
 */
export function encodedLatent(
  output: Float32Array,
  { channels, height, width }: LatentSize,
  { scale, shift }: LatentScaling,
  draw: () => HostLatent,
): HostLatent {
  const cells = height * width
  const isNormal = output.length === 2 * cells * channels
  const noise = isNormal ? draw().data : undefined
  const data = new Float32Array(cells * channels) // [h, w, C]
  for (let cell = 0; cell < cells; cell++) {
    for (let c = 0; c < channels; c++) {
      const from = cell * channels * (isNormal ? 2 : 1) + c
      let z = output[from] ?? Number.NaN
      if (noise !== undefined) {
        const log = Math.min(LOG_VARIANCE_MAX, Math.max(LOG_VARIANCE_MIN, output[from + channels] ?? Number.NaN))
        z += Math.exp(log / 2) * (noise[cell * channels + c] ?? Number.NaN)
      }
      data[cell * channels + c] = (z - shift) * scale
    }
  }
  return hostLatent(data, [height, width, channels])
}

/** Latents side by side, channel by channel: `[h, w, C1], [h, w, C2] -> [h, w, C1 + C2]`. */
export function joinChannels(parts: readonly Float32Array[], cells: number): Float32Array {
  const widths = parts.map((part) => part.length / cells)
  const channels = widths.reduce((sum, width) => sum + width, 0)
  const joined = new Float32Array(cells * channels)
  let offset = 0
  for (const [i, part] of parts.entries()) {
    const width = widths[i] ?? 0
    for (let cell = 0; cell < cells; cell++) {
      joined.set(part.subarray(cell * width, (cell + 1) * width), cell * channels + offset)
    }
    offset += width
  }
  return joined
}
