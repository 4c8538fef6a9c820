/** clamp_tanh: y = limit · tanh(x / limit), a soft clamp to ±limit. */

import { elements } from '../../tensor/shape'
import { defineOp } from '../op'
import type { Value } from '../value'
import { tanh } from './activation'
import { scale } from './scale'

const op = defineOp<{ readonly limit: number }>({
  name: 'clamp_tanh',
  operands: ['x'],
  infer([x], { limit }, fail) {
    if (x?.dtype !== 'f32') return fail('x of real numbers', `${x?.dtype}`)
    if (!(limit > 0) || !Number.isFinite(limit)) return fail('a positive limit', `${limit}`)
    return { shape: x.shape, dtype: 'f32', axes: x.axes }
  },
  flops: (_inputs, output) => 12 * elements(output.shape),
  expand([x], { limit }, at) {
    if (!x) throw new RangeError('clamp_tanh has one operand')
    return scale(at, tanh(at, scale(at, x, 1 / limit)), limit)
  },
})

/**
 * @param x - any shape.
 * @returns the shape of x, within ±limit.
 */
export function clampTanh(at: string, x: Value, limit: number): Value {
  return op(at, [x], { limit })
}
