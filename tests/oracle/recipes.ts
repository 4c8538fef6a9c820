/** Recipes in float64, with every checkpoint tensor drawn from its name. */

import type { Recipe } from '../../src/graph/recipe'
import { elements } from '../../src/tensor/shape'
import { type Dense, dense, gather, strides } from './dense'
import { normals } from './random'

/** What the checkpoint tensor of that name holds. */
export function tensorValues(name: string, count: number): Float32Array {
  return normals(name, count, 0.5)
}

/** The values of a recipe. */
export function evaluateRecipe(recipe: Recipe): Dense {
  switch (recipe.kind) {
    case 'tensor':
      return dense(recipe.shape, Float64Array.from(tensorValues(recipe.name, elements(recipe.shape))))
    case 'literal':
      return dense(recipe.shape, Float64Array.from(recipe.data))
    case 'reshape':
      return dense(recipe.shape, evaluateRecipe(recipe.of).data)
    case 'slice': {
      const of = evaluateRecipe(recipe.of)
      const steps = strides(of.shape)
      return gather(of, recipe.start * (steps[recipe.axis] ?? 0), recipe.shape, steps)
    }
    case 'permute': {
      const of = evaluateRecipe(recipe.of)
      const steps = strides(of.shape)
      return gather(
        of,
        0,
        recipe.shape,
        recipe.order.map((axis) => steps[axis] ?? 0),
      )
    }
    case 'concat':
      return joinDense(recipe.parts.map(evaluateRecipe), recipe.axis)
    case 'addLowRank': {
      const [of, up, down] = [recipe.of, recipe.up, recipe.down].map(evaluateRecipe)
      if (!of || !up || !down) throw new RangeError('three operands')
      const [rows = 0, rank = 0] = up.shape
      const columns = of.data.length / rows
      const product = (i: number): number => {
        let sum = 0
        for (let k = 0; k < rank; k++)
          sum += (up.data[Math.floor(i / columns) * rank + k] ?? 0) * (down.data[k * columns + (i % columns)] ?? 0)
        return sum
      }
      return dense(
        recipe.shape,
        of.data.map((value, i) => value + recipe.scale * product(i)),
      )
    }
    default:
      return recipe satisfies never
  }
}

/** Parts joined along an axis. */
export function joinDense(parts: readonly Dense[], axis: number): Dense {
  const [first] = parts
  if (!first) throw new RangeError('nothing to join')
  const outer = elements(first.shape.slice(0, axis))
  const inner = elements(first.shape.slice(axis + 1))
  const size = parts.reduce((sum, part) => sum + (part.shape[axis] ?? 0), 0)
  const out = new Float64Array(outer * size * inner)
  let at = 0
  for (let row = 0; row < outer; row++) {
    for (const part of parts) {
      const run = (part.shape[axis] ?? 0) * inner
      out.set(part.data.subarray(row * run, (row + 1) * run), at)
      at += run
    }
  }
  return dense(first.shape.with(axis, size), out)
}
