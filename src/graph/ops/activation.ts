/** activation: a function of one number applied to every element. */

import { elements } from '../../tensor/shape'
import { defineOp } from '../op'
import type { Value } from '../value'

/**
 * | name | computes |
 * |---|---|
 * | silu | x · sigmoid(x) |
 * | gelu | x · Φ(x), with erf |
 * | gelu_tanh | x · (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2 |
 * | quick_gelu | x · sigmoid(1.702 x) |
 * | relu | max(x, 0) |
 * | tanh, sigmoid, exp | as named |
 */
export const ACTIVATIONS = ['silu', 'gelu', 'gelu_tanh', 'quick_gelu', 'relu', 'tanh', 'sigmoid', 'exp'] as const

export type ActivationName = (typeof ACTIVATIONS)[number]

const op = defineOp<{ readonly kind: ActivationName }>({
  name: 'activation',
  operands: ['x'],
  infer([x], { kind }, fail) {
    if (!ACTIVATIONS.includes(kind)) return fail(`one of ${ACTIVATIONS.join(', ')}`, `${kind}`)
    if (x?.dtype !== 'f32') return fail('x of real numbers', `${x?.dtype}`)
    return { shape: x.shape, dtype: 'f32', axes: x.axes }
  },
  flops: (_inputs, output) => 10 * elements(output.shape),
})

/**
 * @param x - any shape.
 * @param kind - which function.
 * @returns the shape of x.
 */
export function activation(at: string, x: Value, kind: ActivationName): Value {
  return op(at, [x], { kind })
}

/** @see {@link ACTIVATIONS} */
export const silu = (at: string, x: Value): Value => activation(at, x, 'silu')
/** @see {@link ACTIVATIONS} */
export const gelu = (at: string, x: Value): Value => activation(at, x, 'gelu')
/** @see {@link ACTIVATIONS} */
export const geluTanh = (at: string, x: Value): Value => activation(at, x, 'gelu_tanh')
/** @see {@link ACTIVATIONS} */
export const quickGelu = (at: string, x: Value): Value => activation(at, x, 'quick_gelu')
/** @see {@link ACTIVATIONS} */
export const relu = (at: string, x: Value): Value => activation(at, x, 'relu')
/** @see {@link ACTIVATIONS} */
export const tanh = (at: string, x: Value): Value => activation(at, x, 'tanh')
/** @see {@link ACTIVATIONS} */
export const sigmoid = (at: string, x: Value): Value => activation(at, x, 'sigmoid')
/** @see {@link ACTIVATIONS} */
export const exp = (at: string, x: Value): Value => activation(at, x, 'exp')
