/** Headers of safetensors files, read and checked by the native parser off the event loop. */

import { EngineError } from '../errors'
import type { TensorEntry } from '../weights/checkpoint'
import { DTYPE_CODES } from './addon'
import { awaitNative } from './nativeCall'

/**
 * Where the tensors of a file lie. Throws `missing-file`, `io`, `invalid-safetensors` (with file, field, expected and
 * got) and `unsupported-format` for element types that irodori does not read.
 */
export async function readSafetensorsIndex(
  file: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<TensorEntry[]> {
  const entries = await awaitNative((native, cancel) => native.readIndex(file, cancel), options.signal)
  return entries.map((entry) => {
    const dtype = DTYPE_CODES[entry.dtype]
    if (!dtype) throw new EngineError('internal', `${file}: expected a known dtype, got code ${entry.dtype}`)
    return { ...entry, dtype, file }
  })
}
