/** resize_bilinear: a picture in another size, linear between the four nearest pixels, without antialiasing. */

import { elements } from '../../tensor/shape'
import { defineOp } from '../op'
import type { Value } from '../value'

const op = defineOp<{ readonly size: readonly number[]; readonly alignCorners: boolean }>({
  name: 'resize_bilinear',
  operands: ['x'],
  infer([x], { size }, fail) {
    if (x?.shape.length !== 3) return fail('x [H, W, C]', 'another rank')
    if (size.length !== 2 || !size.every((extent) => Number.isInteger(extent) && extent > 0))
      return fail('a size [H, W] of at least 1', `[${size}]`)
    if ((x.shape[0] ?? 0) < 1 || (x.shape[1] ?? 0) < 1) return fail('a picture of at least one pixel', `[${x.shape}]`)
    return { shape: [...size, x.shape[2] ?? 0], dtype: 'f32', axes: x.axes }
  },
  flops: (_inputs, output) => 8 * elements(output.shape),
})

/**
 * Source coordinate of pixel i: `(i + ½) · H / H' - ½`, at least 0; with aligned corners `i · (H - 1) / (H' - 1)`.
 *
 * @param x - shape [H, W, C].
 * @param size - [H', W'].
 * @returns shape [H', W', C].
 */
export function resizeBilinear(
  at: string,
  x: Value,
  size: readonly [number, number],
  options: { readonly alignCorners?: boolean } = {},
): Value {
  return op(at, [x], { size, alignCorners: options.alignCorners ?? false })
}
