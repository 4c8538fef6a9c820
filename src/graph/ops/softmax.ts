/** softmax: y = exp(x - max) / Σ exp(x - max) over the last axis. */

import { elements } from '../../tensor/shape'
import { defineOp } from '../op'
import type { Value } from '../value'

const op = defineOp({
  name: 'softmax',
  operands: ['x'],
  infer([x], _attrs, fail) {
    if (!x || x.shape.length < 1) return fail('x [..., C]', 'a scalar')
    return { shape: x.shape, dtype: 'f32', axes: x.axes }
  },
  flops: (_inputs, output) => 4 * elements(output.shape),
})

/**
 * @param x - shape [..., C].
 * @returns shape [..., C].
 */
export function softmax(at: string, x: Value): Value {
  return op(at, [x], {})
}
