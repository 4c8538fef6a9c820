/** conv2d: cross-correlation of a channels-last picture with zero padding, asymmetric when asked. */

import { elements } from '../../tensor/shape'
import { defineOp } from '../op'
import type { Value } from '../value'

/** Stride and padding: one number for all sides, or one per axis (`[y, x]`) and side (`[top, left, bottom, right]`). */
export interface Conv2dOptions {
  /** @defaultValue 1 */
  readonly stride?: number | readonly [number, number]
  /** @defaultValue 0 */
  readonly padding?: number | readonly [number, number, number, number]
}

const op = defineOp<{ readonly stride: readonly number[]; readonly padding: readonly number[] }>({
  name: 'conv2d',
  operands: ['x', 'weight', 'bias?'],
  infer([x, weight, bias], { stride, padding }, fail) {
    if (x?.shape.length !== 3) return fail('x [H, W, C]', 'another rank')
    if (weight?.shape.length !== 4) return fail('weight [O, kh, kw, I]', 'another rank')
    const [height = 0, width = 0, channels = 0] = x.shape
    const [out = 0, kernelH = 0, kernelW = 0, inChannels = 0] = weight.shape
    const [strideY = 0, strideX = 0] = stride
    const [top = 0, left = 0, bottom = 0, right = 0] = padding
    if (channels !== inChannels) return fail(`x with ${inChannels} channels`, `${channels}`)
    if (bias && (bias.shape.length !== 1 || bias.shape[0] !== out)) return fail(`bias [${out}]`, `[${bias.shape}]`)
    if (!stride.every((s) => Number.isInteger(s) && s > 0)) return fail('positive strides', `[${stride}]`)
    if (!padding.every((p) => Number.isInteger(p) && p >= 0)) return fail('paddings of at least 0', `[${padding}]`)
    const y = height + top + bottom - kernelH
    const z = width + left + right - kernelW
    if (y < 0 || z < 0)
      return fail(`a padded picture of at least ${kernelH} x ${kernelW}`, `${y + kernelH} x ${z + kernelW}`)
    return { shape: [Math.floor(y / strideY) + 1, Math.floor(z / strideX) + 1, out], dtype: 'f32', axes: x.axes }
  },
  flops: ([, weight], output) => 2 * elements(output.shape) * elements(weight?.shape.slice(1) ?? []),
})

/**
 * `y[i, j, o] = b[o] + Σ x[i·stride + u - top, j·stride + v - left, c] · w[o, u, v, c]`.
 *
 * @param x - shape [H, W, I].
 * @param weight - shape [O, kh, kw, I], channels last; a checkpoint's OIHW goes through `permuteRecipe`.
 * @param bias - shape [O].
 * @returns shape [H', W', O].
 */
export function conv2d(at: string, x: Value, weight: Value, bias?: Value, options: Conv2dOptions = {}): Value {
  const { stride = 1, padding = 0 } = options
  return op(at, bias ? [x, weight, bias] : [x, weight], {
    stride: typeof stride === 'number' ? [stride, stride] : [...stride],
    padding: typeof padding === 'number' ? [padding, padding, padding, padding] : [...padding],
  })
}
