/** linear: y = x Wᵀ + b over the last axis. */

import { elements } from '../../tensor/shape'
import { defineOp } from '../op'
import type { Value } from '../value'

const op = defineOp({
  name: 'linear',
  operands: ['x', 'weight', 'bias?'],
  infer([x, weight, bias], _attrs, fail) {
    if (!x || !weight || weight.shape.length !== 2) return fail('weight [N, K]', 'another rank')
    const k = x.shape.at(-1)
    const [n = 0, weightK] = weight.shape
    if (k !== weightK) return fail(`x with last axis ${weightK}`, `${k}`)
    if (bias && (bias.shape.length !== 1 || bias.shape[0] !== n)) return fail(`bias [${n}]`, `${bias.shape}`)
    return { shape: [...x.shape.slice(0, -1), n], dtype: 'f32', axes: [...x.axes.slice(0, -1), 'D'] }
  },
  flops: ([x], output) => 2 * elements(output.shape) * (x?.shape.at(-1) ?? 0),
})

/**
 * @param x - shape [..., K].
 * @param weight - shape [N, K].
 * @param bias - shape [N].
 * @returns shape [..., N].
 */
export function linear(at: string, x: Value, weight: Value, bias?: Value): Value {
  return op(at, bias ? [x, weight, bias] : [x, weight], {})
}
