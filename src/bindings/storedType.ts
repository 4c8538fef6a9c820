/** Which type a parameter is kept in on a device. */

import type { Capabilities } from '../compile/capabilities'
import type { ParamSpec } from '../compile/program'
import type { StoredTypes } from '../compile/stepCost'
import { exactType } from '../graph/recipe'
import type { StorageType } from '../tensor/dtype'
import type { Checkpoint, TensorEntry } from '../weights/checkpoint'

/**
 * The parameter's own type; for a matrix of a float32 network the 16-bit type it has in the files, where the device
 * widens that: half the memory and half the traffic, and no value changes. Where the Program lets it be rounded, it is
 * kept in that type whatever the files have.
 *
 * @param find - the tensors that the recipe names.
 */
export function storedType(
  { recipe, packing, dtype, rounded }: ParamSpec,
  { widenedDtypes }: Capabilities,
  find: (name: string) => TensorEntry | undefined,
): StorageType {
  if (packing !== 'gemm' || dtype !== 'f32' || widenedDtypes.length === 0) return dtype
  const exact = exactType(recipe, (name) => widenedDtypes.find((type) => type === find(name)?.dtype))
  if (widenedDtypes.includes(exact)) return exact
  return rounded && widenedDtypes.includes(rounded) ? rounded : dtype
}

/** {@link storedType} of parameters that come from a checkpoint. */
export function storedTypes(capabilities: Capabilities, { tensors }: Checkpoint): StoredTypes {
  return (param) => storedType(param, capabilities, (name) => tensors.get(name))
}
