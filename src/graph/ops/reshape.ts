/** reshape: the same elements in the same order under another shape. */

import { elements, type Shape } from '../../tensor/shape'
import { defineOp } from '../op'
import type { Value } from '../value'

const op = defineOp<{ readonly shape: readonly number[]; readonly axes: string }>({
  name: 'reshape',
  operands: ['x'],
  infer([x], { shape, axes }, fail) {
    if (!x || elements(x.shape) !== elements(shape))
      return fail(`a shape of ${elements(x?.shape ?? [])} elements`, `[${shape}]`)
    const labels = axes === '' ? [] : axes.split(' ')
    if (labels.length !== shape.length) return fail(`${shape.length} axis labels`, `"${axes}"`)
    return { shape, dtype: x.dtype, axes: labels }
  },
  flops: () => 0,
})

/**
 * @param x - any shape.
 * @param shape - as many elements.
 * @param axes - labels of the result's axes. @defaultValue those of x when the rank stays, else `_`
 * @returns shape `shape`.
 */
export function reshape(at: string, x: Value, shape: Shape, axes?: readonly string[]): Value {
  const labels = axes ?? (shape.length === x.axes.length ? x.axes : shape.map(() => '_'))
  return op(at, [x], { shape, axes: labels.join(' ') })
}
