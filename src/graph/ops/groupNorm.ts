/** group_norm: y = (x - mean) / sqrt(var + eps) · w + b, statistics over all pixels and the channels of a group. */

import { elements } from '../../tensor/shape'
import { defineOp } from '../op'
import type { Value } from '../value'
import type { NormOptions } from './layerNorm'

const op = defineOp<{ readonly groups: number; readonly eps: number }>({
  name: 'group_norm',
  operands: ['x', 'weight?', 'bias?'],
  infer([x, weight, bias], { groups, eps }, fail) {
    if (x?.shape.length !== 3) return fail('x [H, W, C]', 'another rank')
    const channels = x.shape[2] ?? 0
    if (!Number.isInteger(groups) || groups < 1) return fail('at least one group', `${groups}`)
    if (channels % groups !== 0) return fail(`channels divisible by ${groups}`, `${channels}`)
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
 * @param x - shape [H, W, C].
 * @param groups - how many groups the channels form, in order.
 * @returns shape [H, W, C].
 */
export function groupNorm(at: string, x: Value, groups: number, options: NormOptions): Value {
  const { eps, weight, bias } = options
  return op(at, [x, ...(weight ? [weight] : []), ...(weight && bias ? [bias] : [])], { groups, eps })
}
