/** Constants: values that are parameters, or mere rearrangements of parameters, as one recipe. */

import { concatRecipe, permuteRecipe, type Recipe, reshapeRecipe, sliceRecipe } from '../graph/recipe'
import type { Value } from '../graph/value'

/** The recipe of a value that only slices, joins, reshapes or permutes parameters; `undefined` for all others. */
export function recipeOf(value: Value): Recipe | undefined {
  const { origin } = value
  if (origin.kind === 'param') return origin.recipe
  if (origin.kind !== 'op') return undefined
  switch (origin.op) {
    case 'reshape':
    case 'slice':
    case 'permute': {
      const of = origin.inputs[0] && recipeOf(origin.inputs[0])
      if (!of) return undefined
      if (origin.op === 'reshape') return reshapeRecipe(of, value.shape)
      const { axis, start, size, order } = origin.attrs
      if (origin.op === 'permute') return typeof order === 'object' ? permuteRecipe(of, order) : undefined
      return typeof axis === 'number' && typeof start === 'number' && typeof size === 'number'
        ? sliceRecipe(of, axis, start, size)
        : undefined
    }
    case 'concat': {
      const parts = origin.inputs.map(recipeOf)
      const { axis } = origin.attrs
      return typeof axis === 'number' && parts.every((part) => part !== undefined)
        ? concatRecipe(parts, axis)
        : undefined
    }
    default:
      return undefined
  }
}
