/** concat: values joined along an axis. */

import { sameShape } from '../../tensor/shape'
import { defineOp } from '../op'
import type { Value } from '../value'

const op = defineOp<{ readonly axis: number }>({
  name: 'concat',
  operands: ['parts...'],
  infer(parts, { axis }, fail) {
    const [first] = parts
    if (!first) return fail('at least one part', 'none')
    if (first.shape[axis] === undefined) return fail(`an axis of [${first.shape}]`, `${axis}`)
    for (const part of parts) {
      if (
        part.shape[axis] === undefined ||
        !sameShape(part.shape.with(axis, 0), first.shape.with(axis, 0)) ||
        part.dtype !== first.dtype
      ) {
        return fail(`parts like [${first.shape}] apart from axis ${axis}`, `[${part.shape}]`)
      }
    }
    const size = parts.reduce((sum, part) => sum + (part.shape[axis] ?? 0), 0)
    return { shape: first.shape.with(axis, size), dtype: first.dtype, axes: first.axes }
  },
  flops: () => 0,
})

/**
 * @param parts - shapes equal apart from `axis`.
 * @param axis - the axis that grows; negative counts from the end.
 * @returns their shape with the sizes along `axis` added up.
 */
export function concat(at: string, parts: readonly Value[], axis: number): Value {
  return op(at, parts, { axis: axis < 0 ? axis + (parts[0]?.shape.length ?? 0) : axis })
}
