/** slice: a range of one axis. */

import { defineOp } from '../op'
import type { Value } from '../value'

const op = defineOp<{ readonly axis: number; readonly start: number; readonly size: number }>({
  name: 'slice',
  operands: ['x'],
  infer([x], { axis, start, size }, fail) {
    const extent = x?.shape[axis]
    if (!x || extent === undefined) return fail(`an axis of [${x?.shape}]`, `${axis}`)
    if (!Number.isInteger(start) || !Number.isInteger(size) || start < 0 || size < 0 || start + size > extent) {
      return fail(`a range within the ${extent} of axis ${axis}`, `${start}+${size}`)
    }
    return { shape: x.shape.with(axis, size), dtype: x.dtype, axes: x.axes }
  },
  flops: () => 0,
})

/**
 * @param x - any shape.
 * @param axis - the axis; negative counts from the end.
 * @returns x[..., start : start + size, ...].
 */
export function slice(at: string, x: Value, axis: number, start: number, size: number): Value {
  return op(at, [x], { axis: axis < 0 ? axis + x.shape.length : axis, start, size })
}

/**
 * Equal parts of an axis, in order.
 *
 * @param x - any shape, the axis divisible by `count`.
 * @param axis - the axis; negative counts from the end.
 */
export function chunk(at: string, x: Value, count: number, axis = -1): Value[] {
  const extent = x.shape[axis < 0 ? axis + x.shape.length : axis] ?? 0
  const size = extent / count
  return Array.from({ length: count }, (_, index) => slice(at, x, axis, index * size, size))
}
