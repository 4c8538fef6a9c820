/** The shape rule of two-operand element-wise ops: b has a's shape, one value per channel, or one value. */

import { elements, sameShape } from '../../tensor/shape'
import { defineOp } from '../op'
import type { Value, ValueType } from '../value'

/** How b lies against a [..., N]: element by element, one value per channel ([N], [1, ..., N]), or one value. */
export type Broadcast = 'same' | 'channel' | 'scalar'

/** The case b falls under, or `undefined` when it fits none. */
export function broadcastOf(a: ValueType, b: ValueType): Broadcast | undefined {
  if (sameShape(a.shape, b.shape)) return 'same'
  const count = elements(b.shape)
  if (count === 1) return 'scalar'
  const channels = a.shape.at(-1) ?? 1
  return b.shape.length <= a.shape.length && b.shape.at(-1) === channels && count === channels ? 'channel' : undefined
}

/** Defines an op y = f(a, b) whose result has the shape of a. */
export function defineBinary(
  name: string,
  flopsPerElement: number,
): (at: string, inputs: readonly Value[], attrs: Record<string, never>) => Value {
  return defineOp<Record<string, never>>({
    name,
    operands: ['a', 'b'],
    infer([a, b], _attrs, fail) {
      if (!a || !b) return fail('a and b', 'fewer operands')
      if (a.dtype !== 'f32' || b.dtype !== 'f32')
        return fail('two operands of real numbers', `${a.dtype} and ${b.dtype}`)
      if (!broadcastOf(a, b))
        return fail(`b [${a.shape}], [${a.shape.at(-1) ?? 1}] per channel or a scalar`, `[${b.shape}]`)
      return { shape: a.shape, dtype: 'f32', axes: a.axes }
    },
    flops: (_inputs, output) => flopsPerElement * elements(output.shape),
  })
}

/** For commutative ops: the operand that gives the result its shape first. */
export function widerFirst(a: Value, b: Value): [Value, Value] {
  return broadcastOf(a, b) || !broadcastOf(b, a) ? [a, b] : [b, a]
}
