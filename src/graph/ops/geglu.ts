/** geglu: y = a · gelu(g), a the first half of the channels and g the second (Shazeer 2020, arXiv:2002.05202). */

import { elements } from '../../tensor/shape'
import { defineOp } from '../op'
import type { Value } from '../value'
import { gelu } from './activation'
import { mul } from './mul'
import { chunk } from './slice'

const op = defineOp({
  name: 'geglu',
  operands: ['x'],
  infer([x], _attrs, fail) {
    if (x?.dtype !== 'f32') return fail('x of real numbers', `${x?.dtype}`)
    const channels = x.shape.at(-1)
    if (channels === undefined) return fail('x [..., 2 D]', 'a scalar')
    if (channels % 2 !== 0) return fail('an even number of channels', `${channels}`)
    return { shape: x.shape.with(-1, channels / 2), dtype: 'f32', axes: x.axes }
  },
  flops: (_inputs, output) => 11 * elements(output.shape),
  expand([x], _attrs, at) {
    const [a, gate] = x ? chunk(at, x, 2) : []
    if (!a || !gate) throw new RangeError('geglu has one operand of two halves')
    return mul(at, a, gelu(at, gate))
  },
})

/**
 * @param x - shape [..., 2 D].
 * @returns shape [..., D].
 */
export function geglu(at: string, x: Value): Value {
  return op(at, [x], {})
}
