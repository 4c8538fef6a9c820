/** Pictures: what a pipeline gives, and how it becomes a file. */

import { access, constants, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { EngineError, throwIfAborted } from '../errors'
import { checkNames, invalidOption, signalOption } from '../text/givenOptions'
import { checkFormat, formatOfFile, IMAGE_FORMATS, type ImageFormat, LONGEST_SIDES } from './format'
import { type Provenance, provenanceToXmp } from './metadata'

/** Options of {@link Image.encode} and {@link Image.save}. */
export interface EncodeOptions {
  /** 1 to 100, for WebP, JPEG and AVIF. @defaultValue WebP 90, JPEG 92, AVIF 70 */
  readonly quality?: number
  readonly signal?: AbortSignal
}

/** A picture in memory. */
export interface Image {
  readonly width: number
  readonly height: number
  /** 4 with opacity, 3 without. */
  readonly channels: 3 | 4
  /**
   * Rows from the top: red, green, blue and, of 4 channels, opacity (255 hides what is behind), by which colours are not
   * multiplied. Shape [height, width, channels]; u8; sRGB.
   */
  readonly data: Uint8Array
  /** How it was made; written into files. `undefined` when it was switched off. */
  readonly metadata: Provenance | undefined
  /**
   * The picture as a file's bytes.
   *
   * @throws {@link EngineError} `unsupported-format` when the format is unknown, takes no sides as long (WebP 16383, AVIF
   * 16384, JPEG 65500), or is JPEG and the picture has opacity, which JPEG cannot keep.
   * @throws {@link EngineError} `invalid-option` when the quality is out of range or the format has none;
   * `unknown-option`.
   * @throws AbortError when the signal fires.
   */
  encode(format: ImageFormat, options?: EncodeOptions): Promise<Uint8Array>
  /**
   * Writes the picture; the format follows from the extension: png, webp, jpg, jpeg, avif.
   *
   * @throws {@link EngineError} `unsupported-format` when the extension is another one; `invalid-argument` when the
   * file is no string; what {@link encode} throws.
   * @throws {@link EngineError} `missing-file` when the folder does not exist; `io` when it cannot be written to.
   */
  save(file: string, options?: EncodeOptions): Promise<void>
}

/** Formats that keep opacity. */
const KEEP_OPACITY: readonly ImageFormat[] = IMAGE_FORMATS.filter((format) => format !== 'jpeg')

/** Default quality; PNG has none. */
const QUALITY: Readonly<Record<ImageFormat, number | undefined>> = { png: undefined, webp: 90, jpeg: 92, avif: 70 }

/**
 * Makes a picture of its bytes, which are kept, not copied.
 *
 * @param data - shape [height, width, channels]; u8.
 * @throws {@link EngineError} `shape-mismatch` when the array's length is not the shape's.
 */
export function makeImage(
  data: Uint8Array,
  width: number,
  height: number,
  metadata?: Provenance,
  channels: 3 | 4 = 3,
): Image {
  const expected = width * height * channels
  if (data.length !== expected) {
    const message = `image: expected ${expected} bytes for ${width}x${height}x${channels}, got ${data.length}`
    throw new EngineError('shape-mismatch', message, { expected, got: data.length })
  }
  const image: Image = {
    width,
    height,
    channels,
    data,
    metadata,
    async encode(format, options) {
      const known = checkFormat(format)
      checkFits(known, image)
      return encode(image, known, checkEncodeOptions('encode', known, options))
    },
    async save(file, options) {
      const format = formatOfFile(file)
      checkFits(format, image, file)
      const checked = checkEncodeOptions('save', format, options)
      const bytes = await encode(image, format, checked)
      try {
        await writeFile(file, bytes, { signal: checked.signal })
      } catch (cause) {
        throwIfAborted(checked.signal)
        throw writeError(file, cause)
      }
    },
  }
  return image
}

/**
 * Throws what {@link Image.save} would, as far as that can be told before there is a picture: whether format and options
 * go together and whether there is a place to write to.
 *
 * @param hasOpacity - whether the picture will have it.
 */
export async function checkTarget(file: string, options?: EncodeOptions, hasOpacity = false): Promise<void> {
  const format = formatOfFile(file)
  checkOpacity(format, hasOpacity, file)
  checkEncodeOptions('save', format, options)
  try {
    await access(file, constants.W_OK) // a file that will be replaced
  } catch (cause) {
    if (codeOf(cause) !== 'ENOENT') throw writeError(file, cause)
    await access(path.dirname(file), constants.W_OK).catch((reason: unknown) => {
      throw writeError(file, reason)
    })
  }
}

/**
 * The picture at another size, Lanczos filtered.
 *
 * @param width - new width in pixels.
 * @param height - new height in pixels.
 */
export async function resizeImage(
  image: Image,
  width: number,
  height: number,
  metadata = image.metadata,
): Promise<Image> {
  const { channels } = image
  if (image.width === width && image.height === height) return makeImage(image.data, width, height, metadata, channels)
  // Colours are multiplied by opacity before the filter and divided after it, in the library.
  const resized = await (await open(image)).resize(width, height, { fit: 'fill', kernel: 'lanczos3' }).raw().toBuffer()
  const data = new Uint8Array(resized.buffer, resized.byteOffset, resized.length)
  return makeImage(data, width, height, metadata, channels)
}

async function open({ data, width, height, channels }: Image) {
  const { default: sharp } = await import('sharp')
  return sharp(data, { raw: { width, height, channels }, limitInputPixels: false }) // it is in memory already
}

async function encode(image: Image, format: ImageFormat, { quality, signal }: EncodeOptions): Promise<Uint8Array> {
  throwIfAborted(signal)
  let picture = await open(image)
  if (image.metadata !== undefined) picture = picture.withXmp(provenanceToXmp(image.metadata))
  switch (format) {
    case 'png':
      picture = picture.png({ compressionLevel: 6 })
      break
    case 'webp':
      picture = picture.webp({ quality })
      break
    case 'jpeg':
      picture = picture.jpeg({ quality, chromaSubsampling: '4:4:4' })
      break
    case 'avif':
      picture = picture.avif({ quality, effort: 3 })
      break
    default:
      format satisfies never
  }
  const bytes = await picture.toBuffer()
  throwIfAborted(signal)
  return bytes
}

/** @throws {@link EngineError} `unsupported-format` when the format cannot hold the picture. */
function checkFits(format: ImageFormat, { width, height, channels }: Image, file?: string): void {
  checkOpacity(format, channels === 4, file)
  const longest = LONGEST_SIDES[format] ?? Number.POSITIVE_INFINITY
  if (Math.max(width, height) <= longest) return
  const message = `${file ?? 'format'}: expected sides of at most ${longest} for ${format}, got ${width}x${height}`
  throw new EngineError('unsupported-format', message, { format, expected: longest, got: { width, height } })
}

/** @throws {@link EngineError} `unsupported-format` when a picture with opacity cannot be kept in the format. */
function checkOpacity(format: ImageFormat, hasOpacity: boolean, file?: string): void {
  if (!hasOpacity || KEEP_OPACITY.includes(format)) return
  const message = `${file ?? 'format'}: expected one of ${KEEP_OPACITY.join(', ')}, which keep transparency, got ${format}`
  throw new EngineError('unsupported-format', message, { expected: KEEP_OPACITY, got: format })
}

/**
 * The options with their defaults.
 *
 * @param owner - `encode` or `save`.
 * @throws {@link EngineError} `unknown-option`; `invalid-option` when one has a wrong value or no effect on the format.
 */
function checkEncodeOptions(owner: string, format: ImageFormat, options: unknown): EncodeOptions {
  const given = checkNames(owner, options, ['quality', 'signal'])
  return { quality: checkQuality(format, given.quality), signal: signalOption(given) }
}

function checkQuality(format: ImageFormat, quality: unknown): number | undefined {
  if (quality === undefined) return QUALITY[format]
  if (QUALITY[format] === undefined) {
    throw invalidOption('quality', `none for ${format}, which loses nothing`, quality)
  }
  if (typeof quality === 'number' && Number.isInteger(quality) && quality >= 1 && quality <= 100) return quality
  throw invalidOption('quality', 'an integer from 1 to 100', quality)
}

function codeOf(cause: unknown): unknown {
  return cause instanceof Error && 'code' in cause ? cause.code : undefined
}

function writeError(file: string, cause: unknown): EngineError {
  const code = codeOf(cause)
  if (code === 'ENOENT') {
    return new EngineError('missing-file', `${file}: expected an existing folder, got none`, { file, cause })
  }
  return new EngineError('io', `${file}: expected a place to write to, got ${String(code ?? cause)}`, { file, cause })
}
