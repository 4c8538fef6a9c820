/** pixel_unshuffle: pixels become channels, `(H p) (W q) C -> H W (C p q)`, PyTorch's channel order (c, p, q). */

import { defineOp } from '../op'
import type { Value } from '../value'
import { permute } from './permute'
import { reshape } from './reshape'

const op = defineOp<{ readonly factor: number }>({
  name: 'pixel_unshuffle',
  operands: ['x'],
  infer([x], { factor }, fail) {
    if (x?.shape.length !== 3) return fail('x [H, W, C]', 'another rank')
    const [height = 0, width = 0, channels = 0] = x.shape
    if (!Number.isInteger(factor) || factor < 1) return fail('a factor of at least 1', `${factor}`)
    if (height % factor !== 0 || width % factor !== 0)
      return fail(`height and width divisible by ${factor}`, `${height} x ${width}`)
    return { shape: [height / factor, width / factor, channels * factor * factor], dtype: x.dtype, axes: x.axes }
  },
  flops: () => 0,
  expand([x], { factor }, at) {
    if (!x) throw new RangeError('pixel_unshuffle has one operand')
    const [height = 0, width = 0, channels = 0] = x.shape
    const split = reshape(at, x, [height / factor, factor, width / factor, factor, channels], ['h', 'p', 'w', 'q', 'C'])
    const moved = permute(at, split, [0, 2, 4, 1, 3]) // [h, w, C, p, q]
    return reshape(at, moved, [height / factor, width / factor, channels * factor * factor], x.axes)
  },
})

/**
 * @param x - shape [H · factor, W · factor, C].
 * @returns shape [H, W, C · factor²].
 */
export function pixelUnshuffle(at: string, x: Value, factor: number): Value {
  return op(at, [x], { factor })
}
