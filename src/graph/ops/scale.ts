/** scale: y = x · factor, a constant of the network. */

import { elements } from '../../tensor/shape'
import { defineOp } from '../op'
import type { Value } from '../value'

const op = defineOp<{ readonly factor: number }>({
  name: 'scale',
  operands: ['x'],
  infer([x], { factor }, fail) {
    if (x?.dtype !== 'f32') return fail('x of real numbers', `${x?.dtype}`)
    if (!Number.isFinite(factor)) return fail('a finite factor', `${factor}`)
    return { shape: x.shape, dtype: 'f32', axes: x.axes }
  },
  flops: (_inputs, output) => elements(output.shape),
})

/**
 * @param x - any shape.
 * @returns the shape of x.
 */
export function scale(at: string, x: Value, factor: number): Value {
  return op(at, [x], { factor })
}
