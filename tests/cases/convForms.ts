/** Convolutions in each form that the compiler has for them: Winograd's tiles, doubled pictures, and both. */

import { type Graph, graph } from '../../src/graph/graph'
import { add, conv2d, resizeNearest, silu } from '../../src/graph/ops'
import { literalRecipe } from '../../src/graph/recipe'
import { input, param } from '../../src/graph/value'
import { elements, type Shape } from '../../src/tensor/shape'
import { normals } from '../oracle/random'

export interface ConvFormCase {
  /** Of the picture before it is doubled. */
  readonly x: Shape
  readonly outputs: number
  readonly doubled?: boolean
  /** The only Winograd tile the device is said to have. */
  readonly tile?: number
  /** @defaultValue 1 on all sides */
  readonly padding?: readonly [number, number, number, number]
}

const SHAPES: readonly Shape[] = [
  [16, 17, 32],
  [19, 14, 45],
  [16, 16, 100],
]

export const CONV_FORMS: readonly ConvFormCase[] = [
  ...[2, 4].flatMap((tile) => SHAPES.map((x) => ({ x, outputs: 37, tile }))),
  ...[2, 4].map((tile) => ({ x: [17, 18, 40], outputs: 32, tile, padding: [0, 2, 1, 0] as const })),
  ...SHAPES.flatMap((x) => [
    { x, outputs: 37, doubled: true },
    { x, outputs: 37, doubled: true, tile: 2 },
  ]),
  { x: [3, 5, 8], outputs: 6, doubled: true },
]

export function convFormName({ x, outputs, doubled, tile, padding }: ConvFormCase): string {
  return [
    `[${x}] to ${outputs}`,
    doubled ? 'of a doubled picture' : undefined,
    tile === undefined ? undefined : `tile ${tile}`,
    padding && `padding ${padding}`,
  ]
    .filter(Boolean)
    .join(', ')
}

/** The convolution with a bias, silu and a residual behind it. */
export function convFormGraph({ x, outputs, doubled, padding = [1, 1, 1, 1] }: ConvFormCase): Graph {
  const [height = 0, width = 0, channels = 0] = x
  const picture = input('x', 'latent', { shape: x, dtype: 'f32', axes: ['h', 'w', 'C'] })
  const drawn = (name: string, shape: Shape) =>
    param(literalRecipe(normals(`${name}.${shape}`, elements(shape), 0.5), shape), shape, name)
  const seen = doubled ? resizeNearest('up', picture, [2 * height, 2 * width]) : picture
  const result = conv2d('conv', seen, drawn('weight', [outputs, 3, 3, channels]), drawn('bias', [outputs]), { padding })
  return graph('conv_form', { y: add('sum', silu('act', result), drawn('residual', result.shape)) })
}
