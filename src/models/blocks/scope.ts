/** Scopes: the module path under which layers ask for their checkpoint tensors. */

import { type Recipe, tensorRecipe } from '../../graph/recipe'
import { param, type Value } from '../../graph/value'
import type { Shape } from '../../tensor/shape'

/** A place in the tree of modules: `transformer_blocks.3.attn1`. */
export interface Scope {
  readonly path: string
  /** The module below, `to_q`. */
  child(name: string | number): Scope
  /** The recipe of a tensor of this module, `weight`. */
  recipe(name: string, shape: Shape): Recipe
  /** The tensor as a parameter. */
  tensor(name: string, shape: Shape): Value
}

/**
 * The root of a network's modules.
 *
 * @param prefix - put before every tensor name with a slash.
 */
export function rootScope(prefix?: string): Scope {
  return scopeAt('', prefix === undefined ? '' : `${prefix}/`)
}

function scopeAt(path: string, prefix: string): Scope {
  const join = (name: string | number): string => (path ? `${path}.${name}` : String(name))
  const recipe = (name: string, shape: Shape): Recipe => tensorRecipe(`${prefix}${join(name)}`, shape)
  return {
    path,
    child: (name) => scopeAt(join(name), prefix),
    recipe,
    tensor: (name, shape) => param(recipe(name, shape), shape, join(name)),
  }
}
