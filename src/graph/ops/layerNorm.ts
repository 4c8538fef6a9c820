/** layer_norm: y = (x - mean) / sqrt(var + eps) · w + b over the last axis, biased variance. */

import { elements } from '../../tensor/shape'
import { defineOp } from '../op'
import type { Value } from '../value'

export interface NormOptions {
  readonly eps: number
  /** Per-channel factor, shape [C]. */
  readonly weight?: Value
  /** Per-channel offset, shape [C]; needs `weight`. */
  readonly bias?: Value
}

const op = defineOp<{ readonly eps: number }>({
  name: 'layer_norm',
  operands: ['x', 'weight?', 'bias?'],
  infer([x, weight, bias], { eps }, fail) {
    if (!x || x.shape.length < 1) return fail('x [..., C]', 'a scalar')
    const channels = x.shape.at(-1) ?? 0
    for (const [name, type] of Object.entries({ weight, bias })) {
      if (type && (type.shape.length !== 1 || type.shape[0] !== channels))
        return fail(`${name} [${channels}]`, `[${type.shape}]`)
    }
    if (!(eps >= 0)) return fail('eps of at least 0', `${eps}`)
    return { shape: x.shape, dtype: 'f32', axes: x.axes }
  },
  flops: (_inputs, output) => 8 * elements(output.shape),
})

/**
 * @param x - shape [..., C].
 * @returns shape [..., C].
 */
export function layerNorm(at: string, x: Value, options: NormOptions): Value {
  const { eps, weight, bias } = options
  return op(at, [x, ...(weight ? [weight] : []), ...(weight && bias ? [bias] : [])], { eps })
}
