/** pixel_shuffle: channels become pixels, `H W (C p q) -> (H p) (W q) C`, PyTorch's channel order (c, p, q). */

import { defineOp } from '../op'
import type { Value } from '../value'
import { permute } from './permute'
import { reshape } from './reshape'

const op = defineOp<{ readonly factor: number }>({
  name: 'pixel_shuffle',
  operands: ['x'],
  infer([x], { factor }, fail) {
    if (x?.shape.length !== 3) return fail('x [H, W, C]', 'another rank')
    const [height = 0, width = 0, channels = 0] = x.shape
    if (!Number.isInteger(factor) || factor < 1) return fail('a factor of at least 1', `${factor}`)
    if (channels % (factor * factor) !== 0) return fail(`channels divisible by ${factor * factor}`, `${channels}`)
    return { shape: [height * factor, width * factor, channels / (factor * factor)], dtype: x.dtype, axes: x.axes }
  },
  flops: () => 0,
  expand([x], { factor }, at) {
    if (!x) throw new RangeError('pixel_shuffle has one operand')
    const [height = 0, width = 0, channels = 0] = x.shape
    const out = channels / (factor * factor)
    const split = reshape(at, x, [height, width, out, factor, factor], ['h', 'w', 'C', 'p', 'q'])
    const moved = permute(at, split, [0, 3, 1, 4, 2]) // [h, p, w, q, C]
    return reshape(at, moved, [height * factor, width * factor, out], x.axes)
  },
})

/**
 * @param x - shape [H, W, C · factor²].
 * @returns shape [H · factor, W · factor, C].
 */
export function pixelShuffle(at: string, x: Value, factor: number): Value {
  return op(at, [x], { factor })
}
