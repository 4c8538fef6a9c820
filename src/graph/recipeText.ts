/** The text form of recipes: equal recipes, and only they, have equal texts. */

import { createHash } from 'node:crypto'
import { formatShape } from '../tensor/shape'
import type { Recipe } from './recipe'

const texts = new WeakMap<Recipe, string>()

/** `concat(0; to_q.weight, to_k.weight)`; a literal is told by a digest of its values. */
export function recipeText(recipe: Recipe): string {
  const known = texts.get(recipe)
  if (known !== undefined) return known
  const text = compose(recipe)
  texts.set(recipe, text)
  return text
}

function compose(recipe: Recipe): string {
  switch (recipe.kind) {
    case 'tensor':
      return `${recipe.name}${formatShape(recipe.shape)}`
    case 'literal': {
      const { buffer, byteOffset, byteLength } = recipe.data
      const digest = createHash('sha256')
        .update(new Uint8Array(buffer, byteOffset, byteLength))
        .digest('hex')
        .slice(0, 24)
      return `literal(${digest})${formatShape(recipe.shape)}`
    }
    case 'slice':
      return `slice(${recipe.axis}; ${recipe.start}+${recipe.shape[recipe.axis]}; ${recipeText(recipe.of)})`
    case 'concat':
      return `concat(${recipe.axis}; ${recipe.parts.map(recipeText).join(', ')})`
    case 'reshape':
      return `reshape(${formatShape(recipe.shape)}; ${recipeText(recipe.of)})`
    case 'permute':
      return `permute(${formatShape(recipe.order)}; ${recipeText(recipe.of)})`
    case 'addLowRank':
      return `addLowRank(${recipe.scale}; ${[recipe.of, recipe.up, recipe.down].map(recipeText).join(', ')})`
    default:
      return recipe satisfies never
  }
}
