/** Picture formats: which there are, and which a file name asks for. */

import path from 'node:path'
import { EngineError } from '../errors'
import { show } from '../text/givenOptions'

/** Formats pictures are written in. */
export const IMAGE_FORMATS = ['png', 'webp', 'jpeg', 'avif'] as const

export type ImageFormat = (typeof IMAGE_FORMATS)[number]

const EXTENSIONS: Readonly<Record<string, ImageFormat>> = {
  '.png': 'png',
  '.webp': 'webp',
  '.jpg': 'jpeg',
  '.jpeg': 'jpeg',
  '.avif': 'avif',
}

/** Longest side in pixels that a format, or the library that writes it, takes; PNG takes any. */
export const LONGEST_SIDES: Readonly<Partial<Record<ImageFormat, number>>> = {
  webp: 16_383,
  jpeg: 65_500,
  avif: 16_384,
}

/**
 * The format a file's extension stands for.
 *
 * @throws {@link EngineError} `unsupported-format` when it stands for none; `invalid-argument` when it is no string.
 */
export function formatOfFile(file: string): ImageFormat {
  if (typeof file !== 'string') {
    throw new EngineError('invalid-argument', `file: expected a file name, got ${show(file)}`, { got: file })
  }
  const extension = path.extname(file).toLowerCase()
  const format = EXTENSIONS[extension]
  if (format !== undefined) return format
  const expected = Object.keys(EXTENSIONS).join(', ')
  const message = `${file}: expected a file name ending in ${expected}, got ${extension === '' ? 'no extension' : extension}`
  throw new EngineError('unsupported-format', message, { file, expected: Object.keys(EXTENSIONS), got: extension })
}

/** @throws {@link EngineError} `unsupported-format` when the format is not one of {@link IMAGE_FORMATS}. */
export function checkFormat(format: unknown): ImageFormat {
  const known = IMAGE_FORMATS.find((name) => name === format)
  if (known !== undefined) return known
  const message = `format: expected one of ${IMAGE_FORMATS.join(', ')}, got ${show(format)}`
  throw new EngineError('unsupported-format', message, { expected: IMAGE_FORMATS, got: format })
}
