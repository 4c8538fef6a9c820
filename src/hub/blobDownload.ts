/** The transfer of one file: resumed where it broke off, its hash checked, in place only when it is whole. */

import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { EngineError, throwIfAborted } from '../errors'
import { isCode } from './fileLock'
import { authorization, type FileHash, type HubAccess, hubError, reasonOf } from './hubListing'

/** Attempts in a row that bring no byte. */
const FRUITLESS_ATTEMPTS = 5
const READ_BYTES = 1 << 20

export interface BlobSource {
  readonly url: string
  /** `owner/name: path`, for messages. */
  readonly what: string
  readonly sizeBytes: number
  readonly hash: FileHash
}

export interface TransferOptions {
  readonly access: HubAccess
  /** The wait before the first fruitless attempt is repeated; then it doubles. @defaultValue 1000 */
  readonly retryMs?: number | undefined
  /** A connection that is silent for so long is given up and made anew. @defaultValue 30000 */
  readonly silenceMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Bytes that are there, those of earlier attempts included. */
  readonly onBytes?: ((bytes: number) => void) | undefined
}

/**
 * Brings a file to `blob`, by way of `blob.incomplete`, which stays when the transfer breaks off and is taken up next
 * time.
 *
 * @returns bytes that came over the network.
 * @throws {@link EngineError} `io` when the server fails for good or sends other bytes than its hash says; those are not
 * kept. `missing-file` when it has no such file.
 * @throws AbortError when the signal fires.
 */
export async function downloadBlob(blob: string, source: BlobSource, options: TransferOptions): Promise<number> {
  const partial = `${blob}.incomplete`
  let received = 0
  // What an earlier process left may be damaged; what this one fetched from the first byte on is the server's word.
  for (const resumed of [true, false]) {
    if (!resumed) await rm(partial, { force: true })
    const transfer = await openTransfer(partial, source)
    const old = transfer.position
    try {
      received += await fillUp(transfer, source, options)
      const got = transfer.hash.copy().digest('hex')
      if (got === source.hash.hex) {
        await transfer.handle.sync()
        await transfer.handle.close()
        await moveInPlace(partial, blob)
        return received
      }
      await transfer.handle.close()
      await rm(partial, { force: true })
      if (old === 0 || transfer.restarted) {
        const { kind, hex } = source.hash
        const message = `${source.what}: expected ${kind} ${hex}, got ${got}: what was sent is not kept`
        throw new EngineError('io', message, { url: source.url, expected: hex, got })
      }
    } finally {
      await transfer.handle.close().catch(() => {}) // closed already where all went well
    }
  }
  throw new EngineError('internal', `${source.what}: a transfer from the start ends one way or the other`)
}

/** A file being filled. */
interface Transfer {
  readonly handle: FileHandle
  position: number
  hash: Hash
  /** Whether the server began anew, whatever was there. */
  restarted: boolean
}

/** Opens what is there and hashes it. */
async function openTransfer(partial: string, source: BlobSource): Promise<Transfer> {
  const handle = await open(partial, 'r+').catch((error) => {
    if (isCode(error, 'ENOENT')) return open(partial, 'w+')
    throw error
  })
  const { size } = await handle.stat()
  const transfer: Transfer = { handle, position: 0, hash: newHash(source), restarted: false }
  if (size > source.sizeBytes) await handle.truncate(0)
  else {
    const buffer = Buffer.alloc(READ_BYTES)
    while (transfer.position < size) {
      const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, transfer.position)
      if (bytesRead === 0) break
      transfer.hash.update(buffer.subarray(0, bytesRead))
      transfer.position += bytesRead
    }
  }
  return transfer
}

/** Git hashes a file behind a line that says what it is. */
function newHash({ hash, sizeBytes }: BlobSource): Hash {
  return hash.kind === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${sizeBytes}\0`)
}

/** Asks again and again until all bytes are there. */
async function fillUp(transfer: Transfer, source: BlobSource, options: TransferOptions): Promise<number> {
  const { signal, onBytes, retryMs = 1000 } = options
  let received = 0
  let fruitless = 0
  onBytes?.(transfer.position)
  while (transfer.position < source.sizeBytes) {
    const before = received
    let failure: unknown
    try {
      await ask(transfer, source, options, (bytes) => {
        received += bytes
        onBytes?.(transfer.position)
      })
      if (transfer.position === source.sizeBytes) break
      failure = `${transfer.position} bytes`
    } catch (error) {
      throwIfAborted(signal)
      if (error instanceof EngineError) throw error
      failure = error
    }
    fruitless = received > before ? 0 : fruitless + 1
    if (fruitless === FRUITLESS_ATTEMPTS) {
      const message = `${source.what}: expected ${source.sizeBytes} bytes, got ${transfer.position} and then ${reasonOf(failure)}, ${FRUITLESS_ATTEMPTS} times; what there is is kept for the next try`
      throw new EngineError('io', message, { url: source.url, cause: failure instanceof Error ? failure : undefined })
    }
    await sleep(retryMs * 2 ** fruitless, undefined, { signal }).catch(() => throwIfAborted(signal))
  }
  return received
}

/** One request for what is missing. Throws EngineErrors for what no repetition mends, others for what one may. */
async function ask(
  transfer: Transfer,
  source: BlobSource,
  { access, silenceMs = 30_000, signal }: TransferOptions,
  onChunk: (bytes: number) => void,
): Promise<void> {
  const silence = new AbortController()
  const timer = setTimeout(() => silence.abort(new Error(`silence for ${silenceMs} ms`)), silenceMs).unref()
  const stop = signal ? AbortSignal.any([signal, silence.signal]) : silence.signal
  try {
    const response = await fetch(source.url, {
      headers: {
        ...authorization(access), // fetch drops it when a redirect leads to another host
        'accept-encoding': 'identity',
        ...(transfer.position > 0 ? { range: `bytes=${transfer.position}-` } : {}),
      },
      signal: stop,
    })
    if (!response.ok || response.body === null) {
      await response.body?.cancel()
      const again = response.status === 408 || response.status === 429 || response.status >= 500
      if (again) throw new Error(`status ${response.status}`)
      throw hubError(response.status, source.what, access, undefined)
    }
    if (transfer.position > 0 && !continues(response, transfer.position)) {
      // The whole file comes: the server knows no ranges, or ignores this one.
      transfer.position = 0
      transfer.hash = newHash(source)
      transfer.restarted = true
      await transfer.handle.truncate(0)
    }
    for await (const chunk of response.body) {
      if (transfer.position + chunk.length > source.sizeBytes) {
        const message = `${source.what}: expected ${source.sizeBytes} bytes, got more`
        throw new EngineError('io', message, { url: source.url, expected: source.sizeBytes })
      }
      await writeAll(transfer, chunk)
      timer.refresh()
      onChunk(chunk.length)
    }
  } finally {
    clearTimeout(timer)
  }
}

/** Whether an answer is the part that was asked for. */
function continues(response: Response, position: number): boolean {
  return response.status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${position}-`) === true
}

async function writeAll(transfer: Transfer, chunk: Uint8Array): Promise<void> {
  let written = 0
  while (written < chunk.length) {
    const { bytesWritten } = await transfer.handle.write(
      chunk,
      written,
      chunk.length - written,
      transfer.position + written,
    )
    written += bytesWritten
  }
  transfer.hash.update(chunk)
  transfer.position += chunk.length
}

/** Renames; when another process was first, its file is the same. */
async function moveInPlace(partial: string, blob: string): Promise<void> {
  try {
    await rename(partial, blob)
  } catch (error) {
    if (!isCode(error, 'ENOENT')) throw error
    await stat(blob)
  }
}
