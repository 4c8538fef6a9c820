/** Pictures that callers give: files, encoded bytes or pixels, read as red, green and blue of a wanted size. */

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { EngineError } from '../errors'
import { invalidOption, show } from '../text/givenOptions'
import { type Image, makeImage, resizeImage } from './image'

/** Pixels in memory. */
export interface RawPicture {
  readonly width: number
  readonly height: number
  /** Rows from the top; 1 channel is grey, 3 are red, green, blue, 4 have alpha besides. @defaultValue 3 */
  readonly channels?: 1 | 3 | 4
  /** Shape [height, width, channels]; u8; sRGB. */
  readonly data: Uint8Array
}

/**
 * A picture: a file's path, a file's bytes (PNG, WebP, JPEG, AVIF and others), or pixels, for instance an {@link Image}.
 * Bytes and pixels must stay as they are until the request is done.
 */
export type ImageInput = string | Uint8Array | RawPicture | Image

/** Whether transparency is on paper (white) or on nothing (black). */
export type Ground = 'white' | 'black'

/** A picture that was read and can be had in several sizes. */
export interface ReadPicture {
  readonly width: number
  readonly height: number
  /** Start of a hash over its pixels. */
  readonly hash: string
  /** Scaled to a size, without opacity; its own pixels where it has that size already. */
  scaled(size: Size): Promise<Image>
  /** The same with its own opacity, which hides all where it has none. */
  cutOut(size: Size): Promise<Image>
}

interface Size {
  readonly width: number
  readonly height: number
}

/**
 * Checks what can be told without reading.
 *
 * @param option - for messages.
 * @throws {@link EngineError} `invalid-option` when it is no picture; `shape-mismatch` when pixels do not fit their size.
 */
export function checkImageInput(option: string, value: unknown): ImageInput {
  if (typeof value === 'string' && value !== '') return value
  if (value instanceof Uint8Array) return value
  if (typeof value === 'object' && value !== null) {
    const { width, height, channels = 3, data } = value as Partial<RawPicture>
    if (data instanceof Uint8Array && isSide(width) && isSide(height) && [1, 3, 4].includes(channels)) {
      const expected = width * height * channels
      if (data.length === expected) return { width, height, channels, data }
      const message = `${option}: expected ${expected} bytes for ${width}x${height}x${channels}, got ${data.length}`
      throw new EngineError('shape-mismatch', message, { option, expected, got: data.length })
    }
  }
  throw invalidOption(option, 'a file, its bytes, or { width, height, channels, data }', value)
}

function isSide(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0
}

/**
 * Reads a picture: turned as its EXIF data says, in sRGB, without transparency.
 *
 * @param option - for messages.
 * @throws {@link EngineError} `missing-file`, `unsupported-format`.
 */
export async function readPicture(option: string, input: ImageInput, ground: Ground): Promise<ReadPicture> {
  const { default: sharp } = await import('sharp')
  const source =
    typeof input === 'string' || input instanceof Uint8Array
      ? sharp(await bytesOf(option, input)).rotate()
      : sharp(input.data, { raw: { width: input.width, height: input.height, channels: input.channels ?? 3 } })
  try {
    const pipeline = source.clone().toColourspace('srgb').flatten({ background: ground }).removeAlpha()
    const { data, info } = await pipeline.raw().toBuffer({ resolveWithObject: true })
    const { width, height, channels } = info
    const raw = { width, height, channels }
    const rgb = channels === 3 ? data : greyToRgb(data, channels)
    return {
      width,
      height,
      hash: createHash('sha256').update(`${width}x${height}\n`).update(rgb).digest('hex').slice(0, 16),
      async scaled(size) {
        if (size.width === width && size.height === height) return makeImage(rgb, width, height)
        const { default: resize } = await import('sharp')
        const scaled = await resize(data, { raw })
          .resize(size.width, size.height, { fit: 'fill', kernel: 'lanczos3' })
          .raw()
          .toBuffer({ resolveWithObject: true })
        const bytes = scaled.info.channels === 3 ? scaled.data : greyToRgb(scaled.data, scaled.info.channels)
        return makeImage(new Uint8Array(bytes), size.width, size.height)
      },
      async cutOut(size) {
        // Read once more: pictures whose opacity counts are few.
        const whole = await source
          .clone()
          .toColourspace('srgb')
          .ensureAlpha()
          .raw()
          .toBuffer({ resolveWithObject: true })
        const rgba = whole.info.channels === 4 ? whole.data : greyToRgba(whole.data)
        return resizeImage(makeImage(new Uint8Array(rgba), width, height, undefined, 4), size.width, size.height)
      },
    }
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause)
    throw new EngineError('unsupported-format', `${option}: expected a picture, got ${got}`, { option, cause })
  }
}

async function bytesOf(option: string, input: string | Uint8Array): Promise<Uint8Array> {
  if (typeof input !== 'string') return input
  try {
    return await readFile(input)
  } catch (cause) {
    const message = `${option}: expected a readable file, got ${show(input)}`
    throw new EngineError('missing-file', message, { option, file: input, cause })
  }
}

/** The first channel three times. */
function greyToRgb(data: Uint8Array, channels: number): Uint8Array {
  const pixels = data.length / channels
  const rgb = new Uint8Array(pixels * 3) // [H, W, 3]
  for (let i = 0; i < pixels; i++) rgb.fill(data[i * channels] ?? 0, i * 3, i * 3 + 3)
  return rgb
}

/** Grey and opacity as red, green, blue and opacity. */
function greyToRgba(data: Uint8Array): Uint8Array {
  const rgba = new Uint8Array(data.length * 2) // [H, W, 4]
  for (let i = 0; i < data.length; i += 2) {
    rgba.fill(data[i] ?? 0, i * 2, i * 2 + 3)
    rgba[i * 2 + 3] = data[i + 1] ?? 0
  }
  return rgba
}
