/** prelu: y = x for x ≥ 0, w[c] · x below, one learned slope per channel. */

import { elements } from '../../tensor/shape'
import { defineOp } from '../op'
import type { Value } from '../value'

const op = defineOp({
  name: 'prelu',
  operands: ['x', 'weight'],
  infer([x, weight], _attrs, fail) {
    if (!x || !weight) return fail('x and weight', 'fewer operands')
    const channels = x.shape.at(-1) ?? 1
    const slopes = elements(weight.shape)
    if (weight.shape.length !== 1 || (slopes !== channels && slopes !== 1))
      return fail(`weight [${channels}] or [1]`, `[${weight.shape}]`)
    return { shape: x.shape, dtype: 'f32', axes: x.axes }
  },
  flops: (_inputs, output) => 2 * elements(output.shape),
})

/**
 * @param x - shape [..., C].
 * @param weight - shape [C], or [1] for one slope.
 * @returns shape [..., C].
 */
export function prelu(at: string, x: Value, weight: Value): Value {
  return op(at, [x, weight], {})
}
