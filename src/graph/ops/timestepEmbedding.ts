/** timestep_embedding: sines and cosines of a time at geometrically spaced frequencies. */

import { elements } from '../../tensor/shape'
import { defineOp } from '../op'
import type { Value } from '../value'

export interface TimestepEmbeddingOptions {
  /** cos before sin. @defaultValue false */
  readonly flip?: boolean
  /** Frequencies end at maxPeriod^(-(h-1)/(h-shift)), h = dim / 2. @defaultValue 0 */
  readonly shift?: number
  /** Factor on the time. @defaultValue 1 */
  readonly scale?: number
  /** @defaultValue 10000 */
  readonly maxPeriod?: number
}

const op = defineOp<{
  readonly dim: number
  readonly flip: boolean
  readonly shift: number
  readonly scale: number
  readonly maxPeriod: number
}>({
  name: 'timestep_embedding',
  operands: ['t'],
  infer([t], { dim, shift, scale, maxPeriod }, fail) {
    if (t?.dtype !== 'f32' || elements(t.shape) !== 1 || t.shape.length !== 1)
      return fail('t [1]', `[${t?.shape}] ${t?.dtype}`)
    if (!Number.isInteger(dim) || dim < 2 || dim % 2 !== 0) return fail('an even dim of at least 2', `${dim}`)
    if (dim / 2 === shift) return fail(`a shift other than dim / 2 = ${dim / 2}`, `${shift}`)
    if (!Number.isFinite(shift) || !Number.isFinite(scale) || !(maxPeriod > 0))
      return fail('finite numbers', `shift ${shift}, scale ${scale}, maxPeriod ${maxPeriod}`)
    return { shape: [dim], dtype: 'f32', axes: ['D'] }
  },
  flops: (_inputs, output) => 4 * elements(output.shape),
})

/**
 * `[sin(a_0) ... sin(a_{h-1}), cos(a_0) ... cos(a_{h-1})]` with `a_i = scale · t · maxPeriod^(-i / (h - shift))`, h = dim / 2.
 *
 * The angles are computed in float32 steps, as PyTorch does: `scale · (t · exp(-ln(maxPeriod) · i / (h - shift)))`.
 *
 * @param t - shape [1].
 * @param dim - even.
 * @returns shape [dim].
 */
export function timestepEmbedding(at: string, t: Value, dim: number, options: TimestepEmbeddingOptions = {}): Value {
  const { flip = false, shift = 0, scale = 1, maxPeriod = 10000 } = options
  return op(at, [t], { dim, flip, shift, scale, maxPeriod })
}
