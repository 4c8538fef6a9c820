/** Reads back how a picture was made. */

import { readFile } from 'node:fs/promises'
import { EngineError } from '../errors'
import { show } from '../text/givenOptions'
import { type Provenance, provenanceFromXmp } from './metadata'

/**
 * How a picture was made, or `undefined` when the file does not say.
 *
 * @param file - path or bytes of a PNG, WebP, JPEG or AVIF file.
 * @throws {@link EngineError} `missing-file` when there is no such file; `unsupported-format` when it is no picture;
 * `invalid-argument` when it is neither a path nor bytes.
 */
export async function readMetadata(file: string | Uint8Array): Promise<Provenance | undefined> {
  if (typeof file !== 'string' && !(file instanceof Uint8Array)) {
    const message = `readMetadata: expected a file name or a file's bytes, got ${show(file)}`
    throw new EngineError('invalid-argument', message, { got: file })
  }
  const name = typeof file === 'string' ? file : 'picture'
  let bytes: Uint8Array
  try {
    bytes = typeof file === 'string' ? await readFile(file) : file
  } catch (cause) {
    throw new EngineError('missing-file', `${name}: expected a readable file, got none`, { file: name, cause })
  }
  const { default: sharp } = await import('sharp')
  let xmp: Buffer | undefined
  try {
    xmp = (await sharp(bytes).metadata()).xmp
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause)
    throw new EngineError('unsupported-format', `${name}: expected a picture, got ${got}`, { file: name, cause })
  }
  return xmp === undefined ? undefined : provenanceFromXmp(xmp.toString('utf8'))
}
