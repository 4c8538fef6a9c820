/** Writing safetensors: u64 header length, JSON header, tensor bytes without gaps. */

import { randomUUID } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { EngineError } from '../errors'
import { DTYPE_BYTES, type DType } from '../tensor/dtype'
import { elements, formatShape } from '../tensor/shape'
import type { Tensor } from '../tensor/tensor'

const NAMES: Readonly<Record<DType, string>> = {
  f32: 'F32',
  f16: 'F16',
  bf16: 'BF16',
  i32: 'I32',
  i64: 'I64',
  u8: 'U8',
}

/** Bytes of a file, in pieces that follow each other. */
function pieces(
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> | undefined,
): Uint8Array[] {
  // Wider elements first: every tensor is then aligned to its own element size, as readers that map files expect.
  const order = Object.entries(tensors).sort(
    ([nameA, a], [nameB, b]) => DTYPE_BYTES[b.dtype] - DTYPE_BYTES[a.dtype] || (nameA < nameB ? -1 : 1),
  )
  const header: Record<string, unknown> = metadata ? { __metadata__: metadata } : {}
  const data: Uint8Array[] = []
  let end = 0
  for (const [name, tensor] of order) {
    const bytes = elements(tensor.shape) * DTYPE_BYTES[tensor.dtype]
    if (name === '__metadata__')
      throw new EngineError('invalid-argument', 'safetensors: expected a tensor name, got "__metadata__"')
    if (tensor.data.byteLength !== bytes) {
      throw new EngineError(
        'shape-mismatch',
        `safetensors(${name}): expected ${bytes} bytes for ${formatShape(tensor.shape)} ${tensor.dtype}, got ${tensor.data.byteLength}`,
        { tensor: name },
      )
    }
    header[name] = { dtype: NAMES[tensor.dtype], shape: tensor.shape, data_offsets: [end, end + bytes] }
    data.push(new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, bytes))
    end += bytes
  }
  const text = new TextEncoder().encode(JSON.stringify(header))
  const padded = Math.ceil(text.length / 8) * 8
  const head = new Uint8Array(8 + padded).fill(0x20)
  new DataView(head.buffer).setBigUint64(0, BigInt(padded), true)
  head.set(text, 8)
  return [head, ...data]
}

/**
 * The file as bytes.
 *
 * Throws `shape-mismatch` when a tensor's data does not have the size its shape says.
 */
export function encodeSafetensors(
  tensors: Readonly<Record<string, Tensor>>,
  metadata?: Readonly<Record<string, string>>,
): Uint8Array {
  return new Uint8Array(Buffer.concat(pieces(tensors, metadata)))
}

/** Writes beside the target and renames, so that a reader never sees half a file. Throws `io`. */
export async function writeSafetensors(
  path: string,
  tensors: Readonly<Record<string, Tensor>>,
  metadata?: Readonly<Record<string, string>>,
): Promise<void> {
  const parts = pieces(tensors, metadata)
  const beside = `${path}.${randomUUID()}.tmp`
  try {
    const file = await open(beside, 'wx')
    try {
      for (const part of parts) await file.writeFile(part)
    } finally {
      await file.close()
    }
    await rename(beside, path)
  } catch (cause) {
    await rm(beside, { force: true })
    throw new EngineError('io', `${path}: cannot be written (${cause instanceof Error ? cause.message : cause})`, {
      file: path,
      cause,
    })
  }
}
