/** Dense float64 tensors for the oracles. */

import { elements, type Shape } from '../../src/tensor/shape'

export interface Dense {
  readonly shape: Shape
  readonly data: Float64Array
}

export function dense(shape: Shape, data: Float64Array): Dense {
  if (data.length !== elements(shape)) throw new RangeError(`expected ${elements(shape)} values, got ${data.length}`)
  return { shape, data }
}

/** Row-major strides. */
export function strides(shape: Shape): number[] {
  return shape.map((_, axis) => elements(shape.slice(axis + 1)))
}

/** out[i0, i1, ...] = x[offset + i0·steps0 + i1·steps1 + ...]. */
export function gather(x: Dense, offset: number, sizes: Shape, steps: readonly number[]): Dense {
  const out = new Float64Array(elements(sizes))
  for (let index = 0; index < out.length; index++) {
    let rest = index
    let from = offset
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      const size = sizes[axis] ?? 1
      from += (rest % size) * (steps[axis] ?? 0)
      rest = Math.floor(rest / size)
    }
    const value = x.data[from]
    if (value === undefined) throw new RangeError(`gather reads ${from} of ${x.data.length}`)
    out[index] = value
  }
  return dense(sizes, out)
}
