/** precision: which type each value of a part is stored in. */

import type { Graph } from '../../graph/graph'
import type { Value } from '../../graph/value'
import type { DType } from '../../tensor/dtype'

/** Op values that a timestep embedding is computed from: a timestep of 981 would be 980 in bf16. */
export function exactValues(g: Graph): ReadonlySet<Value> {
  const exact = new Set<Value>()
  for (const value of g.values.toReversed()) {
    if (value.origin.kind !== 'op' || (value.origin.op !== 'timestep_embedding' && !exact.has(value))) continue
    for (const operand of value.origin.inputs) exact.add(operand)
  }
  return exact
}

/** Ids and lengths are i32, {@link exactValues} float32, all others of the network's type. */
export function storageTypes(g: Graph, dtype: DType): (value: Value) => DType {
  const exact = exactValues(g)
  return (value) => (value.dtype === 'i32' ? 'i32' : exact.has(value) ? 'f32' : dtype)
}
