/** modulate: y = x · (1 + scale) + shift, adaLN's per-channel affine (Peebles, Xie 2022, arXiv:2212.09748, section 3.2). */

import { elements } from '../../tensor/shape'
import { defineOp } from '../op'
import type { Value } from '../value'
import { add } from './add'
import { broadcastOf } from './broadcast'
import { mulOnePlus } from './mulOnePlus'

const op = defineOp({
  name: 'modulate',
  operands: ['x', 'shift', 'scale'],
  infer([x, shift, scale], _attrs, fail) {
    if (!x || !shift || !scale) return fail('x, shift and scale', 'fewer operands')
    if (!broadcastOf(x, shift)) return fail(`shift per channel, [${x.shape.at(-1) ?? 1}]`, `[${shift.shape}]`)
    if (!broadcastOf(x, scale)) return fail(`scale per channel, [${x.shape.at(-1) ?? 1}]`, `[${scale.shape}]`)
    return { shape: x.shape, dtype: 'f32', axes: x.axes }
  },
  flops: (_inputs, output) => 3 * elements(output.shape),
  expand([x, shift, scale], _attrs, at) {
    if (!x || !shift || !scale) throw new RangeError('modulate has three operands')
    return add(at, mulOnePlus(at, x, scale), shift)
  },
})

/**
 * @param x - shape [..., C].
 * @param shift - shape [C], [1, ..., C] or the shape of x.
 * @param scale - shape [C], [1, ..., C] or the shape of x.
 * @returns shape [..., C].
 */
export function modulate(at: string, x: Value, shift: Value, scale: Value): Value {
  return op(at, [x, shift, scale], {})
}
