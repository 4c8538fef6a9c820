/** A name for everything that decides a model's pictures, the same on every machine: a hash over its files and settings. */

import { webcrypto } from 'node:crypto'
import { open } from 'node:fs/promises'
import path from 'node:path'
import { EngineError, throwIfAborted } from '../errors'

/** A file up to this size is read whole. */
const WHOLE_BYTES = 64 << 20
/** Blocks read of a larger one, spread evenly, the first and the last among them: loading must not wait for a hash. */
const BLOCKS = 64
const BLOCK_BYTES = 64 << 10

/**
 * The first 16 hexadecimal digits of SHA-256 over settings and the files' names, sizes and contents, computed off the
 * event loop.
 *
 * Of a file beyond 64 MiB, 64 blocks of 64 KiB are read, the first and the last among them.
 *
 * @param root - folder that names are relative to.
 * @param options.settings - what else decides pictures, as JSON.
 * @throws {@link EngineError} `missing-file` when one cannot be read.
 */
export async function modelHash(
  root: string,
  files: readonly string[],
  options: { readonly signal?: AbortSignal; readonly settings?: object } = {},
): Promise<string> {
  const lines: string[] = [`${JSON.stringify(options.settings ?? {})}\n`]
  for (const file of [...files].sort()) {
    throwIfAborted(options.signal)
    const { size, bytes } = await sample(file)
    const name = path.relative(root, file).split(path.sep).join('/')
    lines.push(`${name}\n${size}\n${await digest(bytes)}\n`)
  }
  return (await digest(Buffer.from(lines.join('')))).slice(0, 16)
}

async function sample(file: string): Promise<{ size: number; bytes: Uint8Array<ArrayBuffer> }> {
  try {
    await using handle = await open(file)
    const { size } = await handle.stat()
    const whole = size <= WHOLE_BYTES
    const bytes = new Uint8Array(whole ? size : BLOCKS * BLOCK_BYTES)
    const step = whole ? bytes.length : BLOCK_BYTES
    for (let start = 0, block = 0; start < bytes.length; start += step, block++) {
      await handle.read(bytes, start, step, Math.floor((block * (size - step)) / (BLOCKS - 1)))
    }
    return { size, bytes }
  } catch (cause) {
    throw new EngineError('missing-file', `${file}: expected a readable file, got ${String(cause)}`, { file, cause })
  }
}

async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes)).toString('hex')
}
