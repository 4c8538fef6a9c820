/** Products that quantising chooses: a first one, the one that is tried, and a last one. */

import { type Graph, graph } from '../../src/graph/graph'
import { conv2d, gelu, linear, silu } from '../../src/graph/ops'
import { literalRecipe } from '../../src/graph/recipe'
import { input, param, type Value } from '../../src/graph/value'
import { elements, type Shape } from '../../src/tensor/shape'
import { normals } from '../oracle/random'

export interface Int8Case {
  /** Of the graph's input. */
  readonly x: Shape
  readonly channels: number
  readonly outputs: number
  /** Of a convolution; a matmul has none. */
  readonly kernel?: number
  readonly stride?: number
}

export const INT8: readonly Int8Case[] = [
  { x: [17, 5], channels: 64, outputs: 67 },
  { x: [40, 3], channels: 131, outputs: 80 },
  { x: [33, 8], channels: 320, outputs: 64 },
  { x: [5, 7, 4], channels: 64, outputs: 66, kernel: 3 },
  { x: [9, 8, 3], channels: 68, outputs: 64, kernel: 3, stride: 2 },
  { x: [16, 17, 2], channels: 64, outputs: 70, kernel: 3 },
  { x: [4, 6, 5], channels: 96, outputs: 64, kernel: 1 },
]

export function int8Name({ x, channels, outputs, kernel, stride }: Int8Case): string {
  const product = kernel === undefined ? 'matmul' : `conv2d ${kernel}x${kernel}${stride ? ` /${stride}` : ''}`
  return `${product} ${channels} to ${outputs} of [${x}]`
}

/** Small whole numbers: sums of their products are exact in every type, so all devices quantise the same values. */
export function wholeNumbers(name: string, shape: Shape): Float32Array {
  return normals(name, elements(shape)).map((value) => Math.max(-3, Math.min(3, Math.round(value))))
}

/** The product in question as output `y`, with a bias and an activation behind it. */
export function int8Graph({ x, channels, outputs, kernel, stride = 1 }: Int8Case): Graph {
  const drawn = (name: string, shape: Shape) =>
    param(literalRecipe(normals(`int8.${name}.${shape}`, elements(shape), 0.2), shape), shape, name)
  const whole = (shape: Shape) => param(literalRecipe(wholeNumbers('int8.first', shape), shape), shape, 'first')
  const features = x.at(-1) ?? 0
  const axes = kernel === undefined ? ['L', 'D'] : ['h', 'w', 'C']
  const sample = input('x', 'latent', { shape: x, dtype: 'f32', axes })
  const product = (at: string, of: Value, weight: Value, bias?: Value, size = 1, step = 1) =>
    kernel === undefined
      ? linear(at, of, weight, bias)
      : conv2d(at, of, weight, bias, { stride: step, padding: (size - 1) / 2 })
  const shapeOf = (n: number, k: number, size = 1): Shape => (kernel === undefined ? [n, k] : [n, size, size, k])
  const first = product('first', sample, whole(shapeOf(channels, features)))
  const weight = drawn('weight', shapeOf(outputs, channels, kernel))
  const inner = product('inner', first, weight, drawn('bias', [outputs]), kernel, stride)
  const y = kernel === undefined ? gelu('act', inner) : silu('act', inner)
  return graph('int8', { y, z: product('last', y, drawn('last', shapeOf(8, outputs))) })
}
