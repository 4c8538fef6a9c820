/** embedding: rows of a table by index; with a computed table, the tokens at given places. */

import { defineOp } from '../op'
import type { Value } from '../value'

const op = defineOp({
  name: 'embedding',
  operands: ['ids', 'table'],
  infer([ids, table], _attrs, fail) {
    if (ids?.dtype !== 'i32' || ids.shape.length !== 1)
      return fail('ids [L] i32', `rank ${ids?.shape.length} ${ids?.dtype}`)
    if (table?.dtype !== 'f32' || table.shape.length !== 2)
      return fail('table [V, D]', `rank ${table?.shape.length} ${table?.dtype}`)
    return { shape: [ids.shape[0] ?? 0, table.shape[1] ?? 0], dtype: 'f32', axes: [ids.axes[0] ?? 'L', 'D'] }
  },
  flops: () => 0,
})

/**
 * @param ids - shape [L], i32, each in 0..V-1: others fail the run.
 * @param table - shape [V, D], a parameter or a value.
 * @returns shape [L, D].
 */
export function embedding(at: string, ids: Value, table: Value): Value {
  return op(at, [ids, table], {})
}
