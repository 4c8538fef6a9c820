/** Recipes under a patch: every tensor that it names becomes the sum of itself and the patch's products. */

import {
  addLowRankRecipe,
  literalRecipe,
  permuteRecipe,
  type Recipe,
  replaceTensors,
  reshapeRecipe,
  tensorRecipe,
} from '../graph/recipe'
import { elements, type Shape } from '../tensor/shape'
import type { Checkpoint, LowRankTerm, TensorEntry } from '../weights/checkpoint'
import type { FindTensor } from './recipeBytes'

export interface PatchedRecipes {
  /** The recipe as it is evaluated; the same object where the patch touches nothing of it. */
  recipe(recipe: Recipe): Recipe
  /** Where tensors of evaluated recipes lie, the patch's factors among them. */
  readonly find: FindTensor
}

export function patchedRecipes({ tensors, patch }: Checkpoint): PatchedRecipes {
  if (!patch) return { recipe: (recipe) => recipe, find: (name) => tensors.get(name) }
  const factors = new Map<string, TensorEntry>()
  /** Under a name that says which file it is of: recipes with equal texts are equal. */
  const factor = (entry: TensorEntry, identity: string): Recipe => {
    const name = `lora(${identity})/${entry.name}`
    factors.set(name, entry)
    return tensorRecipe(name, entry.shape)
  }
  const memo = new Map<string, Recipe>()
  const replace = (tensor: Recipe & { readonly kind: 'tensor' }): Recipe => {
    const terms = patch.terms.get(tensor.name)
    if (!terms) return tensor
    const known = memo.get(tensor.name)
    if (known) return known
    const sum = terms.reduce((of, term) => added(of, term, factor), tensor as Recipe)
    memo.set(tensor.name, sum)
    return sum
  }
  return {
    recipe: (recipe) => replaceTensors(recipe, replace),
    find: (name) => factors.get(name) ?? tensors.get(name),
  }
}

function added(of: Recipe, term: LowRankTerm, factor: (entry: TensorEntry, identity: string) => Recipe): Recipe {
  const { identity, scale, mid } = term
  const [up, down] = [factor(term.up, identity), factor(term.down, identity)]
  const rank = down.shape[0] ?? 0
  const columns = reshapeRecipe(up, [of.shape[0] ?? 0, mid ? (mid.shape[0] ?? 0) : rank])
  const rows = mid ? convolved(factor(mid, identity), down) : reshapeRecipe(down, [rank, ...of.shape.slice(1)])
  return addLowRankRecipe(of, columns, rows, scale)
}

/** mid `[r, s, kh, kw]` over down `[s, I, 1, 1]`: `[r, I, kh, kw]`, a product per tap. */
function convolved(mid: Recipe, down: Recipe): Recipe {
  const [rank = 0, inner = 0, height = 0, width = 0] = mid.shape
  const channels = down.shape[1] ?? 0
  const taps = rank * height * width
  const none: Shape = [taps, channels]
  const byTap = reshapeRecipe(permuteRecipe(mid, [0, 2, 3, 1]), [taps, inner])
  const product = addLowRankRecipe(
    literalRecipe(new Float32Array(elements(none)), none),
    byTap,
    reshapeRecipe(down, [inner, channels]),
    1,
  )
  return permuteRecipe(reshapeRecipe(product, [rank, height, width, channels]), [0, 3, 1, 2])
}
