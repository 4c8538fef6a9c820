/** Headers of safetensors files, read and checked by the native parser off the event loop. */

import { fileStamp, type TensorEntry, type UnreadDType } from '../weights/checkpoint'
import { DTYPE_CODES } from './addon'
import { awaitNative } from './nativeCall'

/**
 * Where the tensors of a file lie, those of types that nothing reads among them. Throws `missing-file`, `io` and
 * `invalid-safetensors` (with file, field, expected and got).
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
  return entries.map(({ name, type, dtype, shape, begin, end }) => ({
    name,
    dtype: DTYPE_CODES[dtype] ?? (type.toLowerCase() as UnreadDType),
    shape,
    begin,
    end,
    file,
    stamp,
  }))
}
