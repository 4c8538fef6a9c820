/** A matmul that the compiler makes of Strassen's seven products, in one of the smallest sizes. */

import { type Graph, graph } from '../../src/graph/graph'
import { add, linear, silu } from '../../src/graph/ops'
import { literalRecipe } from '../../src/graph/recipe'
import { input, param } from '../../src/graph/value'
import { elements, type Shape } from '../../src/tensor/shape'
import { normals } from '../oracle/random'

export const STRASSEN = { x: [258, 1024], outputs: 544 } as const

/** The product with a bias, silu and a residual behind it. */
export function strassenGraph(): Graph {
  const { x: shape, outputs } = STRASSEN
  const drawn = (name: string, size: Shape) =>
    param(literalRecipe(normals(`strassen.${name}`, elements(size), 0.1), size), size, name)
  const x = input('x', 'latent', { shape, dtype: 'f32', axes: ['L', 'D'] })
  const product = linear('product', x, drawn('weight', [outputs, shape[1]]), drawn('bias', [outputs]))
  return graph('strassen', { y: add('sum', silu('act', product), drawn('residual', product.shape)) })
}
