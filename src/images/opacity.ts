/** Opacity: pictures cut out of the white they were drawn on, and laid on a colour. */

import { setImmediate } from 'node:timers/promises'
import { type Image, makeImage } from './image'
import { toBytes } from './pixels'

/** Red, green and blue, 0 to 255 each. */
export type Colour = readonly [red: number, green: number, blue: number]

export const WHITE: Colour = [255, 255, 255]

/** Pixels handled between two turns of the event loop. */
const PIXELS_PER_TURN = 1 << 16

/**
 * Colours and opacity that lie side by side, apart.
 *
 * @param values - shape [H, W, 4].
 * @returns colours, shape [H, W, 3], and opacity, shape [H, W].
 */
export async function splitOpacity(
  values: Float32Array,
): Promise<{ readonly colours: Float32Array; readonly opacity: Float32Array }> {
  const pixels = values.length / 4
  const colours = new Float32Array(pixels * 3) // [H, W, 3]
  const opacity = new Float32Array(pixels) // [H, W]
  await inTurns(pixels, (i) => {
    colours.set(values.subarray(i * 4, i * 4 + 3), i * 3)
    opacity[i] = values[i * 4 + 3] ?? Number.NaN
  })
  return { colours, opacity }
}

/** One plane as a grey picture: shape [H, W] to [H, W, 3]. */
export async function toGrey(plane: Float32Array): Promise<Float32Array> {
  const grey = new Float32Array(plane.length * 3) // [H, W, 3]
  await inTurns(plane.length, (i) => grey.fill(plane[i] ?? Number.NaN, i * 3, i * 3 + 3))
  return grey
}

/** The plane that a nearly grey picture shows, the mean of its channels: shape [H, W, 3] to [H, W]. */
export async function fromGrey(picture: Float32Array): Promise<Float32Array> {
  const plane = new Float32Array(picture.length / 3) // [H, W]
  await inTurns(plane.length, (i) => {
    plane[i] = ((picture[i * 3] ?? 0) + (picture[i * 3 + 1] ?? 0) + (picture[i * 3 + 2] ?? 0)) / 3
  })
  return plane
}

/**
 * A picture cut out of white.
 *
 * With C its colours on white, F those of what is shown and a its opacity, C = a F + (1 - a), so F = 1 - (1 - C) / a, cut
 * to [0, 1]. Where nothing is shown F is white: programs that ignore opacity show the ground it was drawn on.
 *
 * @param colours - C, from 0 to 1; cut to it. Shape [H, W, 3].
 * @param opacity - a, from 0 to 1; cut to it. Shape [H, W].
 * @returns shape [H, W, 4]; u8; colours not multiplied by opacity.
 */
export async function cutOut(colours: Float32Array, opacity: Float32Array): Promise<Uint8Array> {
  const [onWhite, alpha] = [await toBytes(colours, 0, 1), await toBytes(opacity, 0, 1)]
  const bytes = new Uint8Array(alpha.length * 4) // [H, W, 4]
  await inTurns(alpha.length, (i) => {
    // The rounded opacity, so that laying the picture on white gives the colours again.
    const a = alpha[i] ?? 0
    for (let c = 0; c < 3; c++) {
      const missing = 255 - (onWhite[i * 3 + c] ?? 0)
      bytes[i * 4 + c] = a === 0 ? 255 : Math.max(0, Math.round(255 - (missing * 255) / a))
    }
    bytes[i * 4 + 3] = a
  })
  return bytes
}

/** The picture on a colour, without opacity; itself where it has none. */
export async function layOn(image: Image, colour: Colour): Promise<Image> {
  if (image.channels === 3) return image
  const { data, width, height, metadata } = image
  const bytes = new Uint8Array(width * height * 3) // [H, W, 3]
  await inTurns(width * height, (i) => {
    const a = (data[i * 4 + 3] ?? 0) / 255
    for (let c = 0; c < 3; c++) {
      const ground = colour[c] ?? 0
      bytes[i * 3 + c] = Math.round(ground + a * ((data[i * 4 + c] ?? 0) - ground))
    }
  })
  return makeImage(bytes, width, height, metadata)
}

/** The picture with an opacity that hides all behind it; itself where it has one. */
export async function withOpacity(image: Image): Promise<Image> {
  if (image.channels === 4) return image
  const { data, width, height, metadata } = image
  const bytes = new Uint8Array(width * height * 4).fill(255) // [H, W, 4]
  await inTurns(width * height, (i) => bytes.set(data.subarray(i * 3, i * 3 + 3), i * 4))
  return makeImage(bytes, width, height, metadata, 4)
}

/** Calls a function for every pixel, in slices so that the event loop turns. */
async function inTurns(pixels: number, each: (index: number) => void): Promise<void> {
  for (let start = 0; start < pixels; start += PIXELS_PER_TURN) {
    if (start > 0) await setImmediate()
    const end = Math.min(start + PIXELS_PER_TURN, pixels)
    for (let i = start; i < end; i++) each(i)
  }
}
