/** offset: y = x + amount, a constant of the network. */

import { elements } from '../../tensor/shape'
import { defineOp } from '../op'
import type { Value } from '../value'

const op = defineOp<{ readonly amount: number }>({
  name: 'offset',
  operands: ['x'],
  infer([x], { amount }, fail) {
    if (x?.dtype !== 'f32') return fail('x of real numbers', `${x?.dtype}`)
    if (!Number.isFinite(amount)) return fail('a finite amount', `${amount}`)
    return { shape: x.shape, dtype: 'f32', axes: x.axes }
  },
  flops: (_inputs, output) => elements(output.shape),
})

/**
 * @param x - any shape.
 * @returns the shape of x.
 */
export function offset(at: string, x: Value, amount: number): Value {
  return op(at, [x], { amount })
}
