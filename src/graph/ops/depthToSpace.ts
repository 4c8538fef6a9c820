/** depth_to_space: channels become pixels, `H W (p q C) -> (H p) (W q) C`: how DiT and PixArt unpatchify. */

import { defineOp } from '../op'
import type { Value } from '../value'
import { permute } from './permute'
import { reshape } from './reshape'

const op = defineOp<{ readonly factor: number }>({
  name: 'depth_to_space',
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
    if (!x) throw new RangeError('depth_to_space has one operand')
    const [height = 0, width = 0, channels = 0] = x.shape
    const out = channels / (factor * factor)
    const split = reshape(at, x, [height, width, factor, factor, out], ['h', 'w', 'p', 'q', 'C'])
    const moved = permute(at, split, [0, 2, 1, 3, 4]) // [h, p, w, q, C]
    return reshape(at, moved, [height * factor, width * factor, out], x.axes)
  },
})

/**
 * @param x - shape [H, W, factor² · C], channels in the order (p, q, c).
 * @returns shape [H · factor, W · factor, C].
 */
export function depthToSpace(at: string, x: Value, factor: number): Value {
  return op(at, [x], { factor })
}
