/** Masks: where a picture is drawn anew, as numbers of each pixel, and fading a new picture into an old one. */

import { setImmediate } from 'node:timers/promises'
import { type Image, makeImage } from './image'
import type { Provenance } from './metadata'

/** Above this grey a pixel is new: diffusers' half. */
const HALF = 127.5

/**
 * 1 where a pixel is new, 0 where it is kept.
 *
 * @param mask - white is new; its luminance (Rec. 601, as Pillow's `L`) counts.
 * @returns shape [H, W].
 */
export function binaryMask(mask: Image): Float32Array {
  const bits = new Float32Array(mask.width * mask.height) // [H, W]
  for (let i = 0; i < bits.length; i++) {
    const [r = 0, g = 0, b = 0] = mask.data.subarray(i * 3, i * 3 + 3)
    bits[i] = 0.299 * r + 0.587 * g + 0.114 * b > HALF ? 1 : 0
  }
  return bits
}

/** The mask of latent cells: each cell that of its upper left pixel, as PyTorch's nearest interpolation takes it. */
export function cellMask(
  bits: Float32Array,
  from: { readonly width: number; readonly height: number },
  to: { readonly width: number; readonly height: number },
): Float32Array {
  const cells = new Float32Array(to.width * to.height) // [h, w]
  for (let y = 0; y < to.height; y++) {
    const row = Math.floor((y * from.height) / to.height) * from.width
    for (let x = 0; x < to.width; x++) {
      cells[y * to.width + x] = bits[row + Math.floor((x * from.width) / to.width)] ?? 0
    }
  }
  return cells
}

/** How a new picture lies over an old one. */
export interface Overlay {
  /** What is kept where the weight is 0. */
  readonly under: Image
  /** Weight of the new picture. Shape [H, W]; 0 to 1. */
  readonly weights: Float32Array
}

/**
 * The weights of a mask, blurred.
 *
 * @param bits - shape [H, W].
 * @param blur - standard deviation in pixels; 0 leaves edges hard.
 */
export async function blurredMask(
  bits: Float32Array,
  { width, height }: { readonly width: number; readonly height: number },
  blur: number,
): Promise<Float32Array> {
  if (blur === 0) return bits
  const { default: sharp } = await import('sharp')
  const grey = Uint8Array.from(bits, (bit) => bit * 255)
  const { data, info } = await sharp(grey, { raw: { width, height, channels: 1 } })
    .blur(Math.max(MIN_BLUR, blur))
    .raw()
    .toBuffer({ resolveWithObject: true })
  return Float32Array.from(bits, (_, i) => (data[i * info.channels] ?? 0) / 255)
}

/** The least standard deviation the library takes. */
const MIN_BLUR = 0.3

/** Values handled between two turns of the event loop. */
const PIXELS_PER_TURN = 1 << 16

/** A new picture over an old one, the same size and channels; where the weight is 0 the old one's bytes are kept. */
export async function layOver(image: Image, { under, weights }: Overlay, metadata?: Provenance): Promise<Image> {
  const { width, height, channels } = image
  const data = new Uint8Array(image.data.length) // [H, W, channels]
  const mix = channels === 4 ? mixWithOpacity : mixColours
  for (let start = 0; start < weights.length; start += PIXELS_PER_TURN) {
    if (start > 0) await setImmediate()
    const end = Math.min(start + PIXELS_PER_TURN, weights.length)
    for (let i = start; i < end; i++) mix(data, image.data, under.data, i, weights[i] ?? 1)
  }
  return makeImage(data, width, height, metadata, channels)
}

/** Writes pixel `i` of `into`: w over + (1 - w) under. */
type Mix = (into: Uint8Array, over: Uint8Array, under: Uint8Array, i: number, w: number) => void

const mixColours: Mix = (into, over, under, i, w) => {
  for (let c = i * 3; c < i * 3 + 3; c++) {
    const kept = under[c] ?? 0
    into[c] = Math.round(kept + w * ((over[c] ?? 0) - kept))
  }
}

/** Colours count by their opacity a: a F = w a1 F1 + (1 - w) a2 F2 with a = w a1 + (1 - w) a2. */
const mixWithOpacity: Mix = (into, over, under, i, w) => {
  const [first, last] = [i * 4, i * 4 + 3]
  const a1 = w * (over[last] ?? 0)
  const a2 = (1 - w) * (under[last] ?? 0)
  if (a1 === 0 || a2 === 0) {
    const shown = a1 === 0 && w < 1 ? under : over
    into.set(shown.subarray(first, last), first)
  } else {
    for (let c = first; c < last; c++) into[c] = Math.round((a1 * (over[c] ?? 0) + a2 * (under[c] ?? 0)) / (a1 + a2))
  }
  into[last] = Math.round(a1 + a2)
}
