/** leaky_relu: y = x for x ≥ 0, slope · x below. */

import { elements } from '../../tensor/shape'
import { defineOp } from '../op'
import type { Value } from '../value'

const op = defineOp<{ readonly slope: number }>({
  name: 'leaky_relu',
  operands: ['x'],
  infer([x], { slope }, fail) {
    if (x?.dtype !== 'f32') return fail('x of real numbers', `${x?.dtype}`)
    if (!Number.isFinite(slope)) return fail('a finite slope', `${slope}`)
    return { shape: x.shape, dtype: 'f32', axes: x.axes }
  },
  flops: (_inputs, output) => 2 * elements(output.shape),
})

/**
 * @param x - any shape.
 * @returns the shape of x.
 */
export function leakyRelu(at: string, x: Value, slope: number): Value {
  return op(at, [x], { slope })
}
