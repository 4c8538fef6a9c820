/** Tensors of a safetensors file. */

import { readSafetensorsIndex } from '../bindings'
import { EngineError } from '../errors'
import type { Tensor } from '../tensor/tensor'
import { checkNames, show, signalOption } from '../text/givenOptions'
import { readTensors } from '../weights'

/**
 * Reads a safetensors file: its tensors as they are stored, by name.
 *
 * `writeSafetensors` of `irodori/weights` writes such files. To read only the header, or some tensors of a large file, see
 * {@link readSafetensorsIndex}; `openCheckpoint` of `irodori/weights` takes it as its `readIndex`.
 *
 * @example
 * const { sample } = await component.run(await readSafetensors('inputs.safetensors'))
 *
 * @throws {@link EngineError} `missing-file`, `invalid-safetensors`, `unsupported-format`, `io`; `unavailable-binding`;
 * `invalid-argument` when the file is no string; `unknown-option` or `invalid-option`.
 * @throws AbortError when the signal fires.
 */
export async function readSafetensors(
  file: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<Record<string, Tensor>> {
  if (typeof file !== 'string') {
    throw new EngineError('invalid-argument', `readSafetensors: expected a file name, got ${show(file)}`, { got: file })
  }
  const signal = signalOption(checkNames('readSafetensors', options, ['signal']))
  return readTensors(await readSafetensorsIndex(file, { signal }))
}
