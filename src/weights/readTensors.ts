/** Reading whole tensors of a checkpoint into host memory: small ones, inputs of a run for instance. */

import { open } from 'node:fs/promises'
import { EngineError } from '../errors'
import type { DType } from '../tensor/dtype'
import type { Shape } from '../tensor/shape'
import type { Tensor } from '../tensor/tensor'
import { isRead, type TensorEntry } from './checkpoint'

/** Reads tensors as they are stored, by name. Throws `missing-file`, `unsupported-format`, and `io` when a file ends early. */
export async function readTensors(entries: Iterable<TensorEntry>): Promise<Record<string, Tensor>> {
  const tensors: Record<string, Tensor> = {}
  for (const entry of entries) tensors[entry.name] = await readTensor(entry)
  return tensors
}

/** Reads one tensor as it is stored. Throws `missing-file`, `unsupported-format`, and `io` when the file ends early. */
export async function readTensor(entry: TensorEntry): Promise<Tensor> {
  const { name, file: path, dtype, shape, begin, end, transposed } = entry
  if (!isRead(dtype)) {
    throw new EngineError(
      'unsupported-format',
      `${path}: tensor "${name}": expected a type that is read, got ${dtype}`,
      {
        file: path,
        tensor: name,
      },
    )
  }
  const file = await open(path).catch((cause) => {
    throw new EngineError('missing-file', `${path}: cannot be opened`, { file: path, cause })
  })
  try {
    const bytes = new ArrayBuffer(end - begin)
    let filled = 0
    while (filled < bytes.byteLength) {
      const { bytesRead } = await file.read(new Uint8Array(bytes, filled), 0, bytes.byteLength - filled, begin + filled)
      if (bytesRead === 0) {
        throw new EngineError('io', `${path}: expected ${bytes.byteLength} bytes of "${name}", got ${filled}`, {
          file: path,
          tensor: name,
        })
      }
      filled += bytesRead
    }
    const data = view(dtype, bytes)
    return { dtype, shape, data: transposed ? transpose(data, shape) : data }
  } finally {
    await file.close()
  }
}

/** The matrix of that shape whose transpose is stored. */
function transpose(stored: Tensor['data'], [rows = 0, columns = 0]: Shape): Tensor['data'] {
  const data = stored.slice()
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const value = stored[column * rows + row]
      if (value !== undefined) data[row * columns + column] = value
    }
  }
  return data
}

function view(dtype: DType, bytes: ArrayBuffer): Tensor['data'] {
  switch (dtype) {
    case 'f32':
      return new Float32Array(bytes)
    case 'f16':
    case 'bf16':
      return new Uint16Array(bytes)
    case 'i32':
      return new Int32Array(bytes)
    case 'i64':
      return new BigInt64Array(bytes)
    case 'u8':
      return new Uint8Array(bytes)
    default:
      return dtype satisfies never
  }
}
