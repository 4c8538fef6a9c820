/** resize_nearest: a picture in another size; pixel i of H' comes from floor(i · H / H'). */

import { defineOp } from '../op'
import type { Value } from '../value'

const op = defineOp<{ readonly size: readonly number[] }>({
  name: 'resize_nearest',
  operands: ['x'],
  infer([x], { size }, fail) {
    if (x?.shape.length !== 3) return fail('x [H, W, C]', 'another rank')
    if (size.length !== 2 || !size.every((extent) => Number.isInteger(extent) && extent > 0))
      return fail('a size [H, W] of at least 1', `[${size}]`)
    if ((x.shape[0] ?? 0) < 1 || (x.shape[1] ?? 0) < 1) return fail('a picture of at least one pixel', `[${x.shape}]`)
    return { shape: [...size, x.shape[2] ?? 0], dtype: 'f32', axes: x.axes }
  },
  flops: () => 0,
})

/**
 * @param x - shape [H, W, C].
 * @param size - [H', W'].
 * @returns shape [H', W', C].
 */
export function resizeNearest(at: string, x: Value, size: readonly [number, number]): Value {
  return op(at, [x], { size })
}
