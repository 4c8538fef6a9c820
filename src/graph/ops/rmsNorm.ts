/** rms_norm: y = x / sqrt(mean(x²) + eps) · w over the last axis. */

import { elements } from '../../tensor/shape'
import { defineOp } from '../op'
import type { Value } from '../value'

const op = defineOp<{ readonly eps: number }>({
  name: 'rms_norm',
  operands: ['x', 'weight?'],
  infer([x, weight], { eps }, fail) {
    if (!x || x.shape.length < 1) return fail('x [..., C]', 'a scalar')
    const channels = x.shape.at(-1) ?? 0
    if (weight && (weight.shape.length !== 1 || weight.shape[0] !== channels))
      return fail(`weight [${channels}]`, `[${weight.shape}]`)
    if (!(eps >= 0)) return fail('eps of at least 0', `${eps}`)
    return { shape: x.shape, dtype: 'f32', axes: x.axes }
  },
  flops: (_inputs, output) => 5 * elements(output.shape),
})

/**
 * @param x - shape [..., C].
 * @param options - `eps`, and `weight` of shape [C].
 * @returns shape [..., C].
 */
export function rmsNorm(at: string, x: Value, options: { readonly eps: number; readonly weight?: Value }): Value {
  return op(at, options.weight ? [x, options.weight] : [x], { eps: options.eps })
}
