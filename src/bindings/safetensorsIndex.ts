/** Headers of safetensors files, read and checked by the native parser off the event loop. */

import { EngineError } from '../errors'
import { fileStamp, type TensorEntry } from '../weights/checkpoint'
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
  // Taken before the header: whatever replaces the file from now on is found out when its tensors are read.
  const stamp = await fileStamp(file).then(
    (found) => found.stamp,
    () => undefined, // the native reader says what is wrong
  )
  const entries = await awaitNative((native, cancel) => native.readIndex(file, cancel), options.signal)
  return entries.map((entry) => {
    const dtype = DTYPE_CODES[entry.dtype]
    if (!dtype) throw new EngineError('internal', `${file}: expected a known dtype, got code ${entry.dtype}`)
    return { ...entry, dtype, file, stamp }
  })
}
