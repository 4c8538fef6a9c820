/** permute: the axes in another order; axis i of the result is axis order[i] of x. */

import { defineOp } from '../op'
import type { Value } from '../value'

const op = defineOp<{ readonly order: readonly number[] }>({
  name: 'permute',
  operands: ['x'],
  infer([x], { order }, fail) {
    if (!x) return fail('x', 'nothing')
    if (order.length !== x.shape.length || !order.toSorted((a, b) => a - b).every((axis, index) => axis === index)) {
      return fail(`an order of ${x.shape.length} axes`, `[${order}]`)
    }
    return {
      shape: order.map((axis) => x.shape[axis] ?? 0),
      dtype: x.dtype,
      axes: order.map((axis) => x.axes[axis] ?? '_'),
    }
  },
  flops: () => 0,
})

/**
 * @param x - shape [d0, d1, ...].
 * @returns shape [d(order[0]), d(order[1]), ...].
 */
export function permute(at: string, x: Value, order: readonly number[]): Value {
  return op(at, [x], { order })
}
