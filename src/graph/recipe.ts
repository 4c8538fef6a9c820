/** Parameter recipes: how what a kernel consumes is made from what checkpoints name. */

import { EngineError } from '../errors'
import type { DType } from '../tensor/dtype'
import { elements, formatShape, type Shape, sameShape } from '../tensor/shape'

/**
 * A small expression over scoped checkpoint tensors (`transformer/proj_out.weight`), evaluated in float32 once per
 * device and packing. Every node knows its shape. New ways to make a parameter (fold, quantise) are new members of this
 * union.
 */
export type Recipe =
  | { readonly kind: 'tensor'; readonly name: string; readonly shape: Shape }
  | { readonly kind: 'literal'; readonly data: Float32Array; readonly shape: Shape }
  | {
      readonly kind: 'slice'
      readonly of: Recipe
      readonly axis: number
      readonly start: number
      readonly shape: Shape
    }
  | { readonly kind: 'concat'; readonly parts: readonly Recipe[]; readonly axis: number; readonly shape: Shape }
  | { readonly kind: 'reshape'; readonly of: Recipe; readonly shape: Shape }
  | { readonly kind: 'permute'; readonly of: Recipe; readonly order: readonly number[]; readonly shape: Shape }
  | {
      readonly kind: 'addLowRank'
      readonly of: Recipe
      readonly up: Recipe
      readonly down: Recipe
      readonly scale: number
      readonly shape: Shape
    }

/** The checkpoint tensor of that scoped name, with the shape the network expects. */
export function tensorRecipe(name: string, shape: Shape): Recipe {
  return { kind: 'tensor', name, shape }
}

/** Values computed by the model file itself, position tables for instance. */
export function literalRecipe(data: Float32Array, shape: Shape): Recipe {
  if (data.length !== elements(shape)) {
    throw new EngineError(
      'shape-mismatch',
      `literal: expected ${elements(shape)} values for ${formatShape(shape)}, got ${data.length}`,
    )
  }
  return { kind: 'literal', data, shape }
}

/** Part of an axis. */
export function sliceRecipe(of: Recipe, axis: number, start: number, size: number): Recipe {
  const extent = of.shape[axis]
  if (extent === undefined || start < 0 || size < 0 || start + size > extent) {
    throw new EngineError(
      'shape-mismatch',
      `slice: expected a range within axis ${axis} of ${formatShape(of.shape)}, got ${start}+${size}`,
    )
  }
  return { kind: 'slice', of, axis, start, shape: of.shape.with(axis, size) }
}

/** Tensors joined along an axis: q, k and v as one matrix. */
export function concatRecipe(parts: readonly Recipe[], axis: number): Recipe {
  const [first] = parts
  if (!first) throw new EngineError('invalid-graph', 'concat: expected at least one part, got none')
  let size = 0
  for (const part of parts) {
    if (!sameShape(part.shape.with(axis, 0), first.shape.with(axis, 0))) {
      throw new EngineError(
        'shape-mismatch',
        `concat: expected ${formatShape(first.shape)} apart from axis ${axis}, got ${formatShape(part.shape)}`,
      )
    }
    size += part.shape[axis] ?? 0
  }
  return { kind: 'concat', parts, axis, shape: first.shape.with(axis, size) }
}

/** The same values under another shape. */
export function reshapeRecipe(of: Recipe, shape: Shape): Recipe {
  if (elements(of.shape) !== elements(shape)) {
    throw new EngineError('shape-mismatch', `reshape: expected ${elements(of.shape)} values, got ${formatShape(shape)}`)
  }
  return { kind: 'reshape', of, shape }
}

/** Axes in another order: OIHW to the channels-last OHWI. */
export function permuteRecipe(of: Recipe, order: readonly number[]): Recipe {
  if (
    order.length !== of.shape.length ||
    new Set(order).size !== order.length ||
    order.some((axis) => of.shape[axis] === undefined)
  ) {
    throw new EngineError(
      'shape-mismatch',
      `permute: expected an order of the axes of ${formatShape(of.shape)}, got ${formatShape(order)}`,
    )
  }
  return { kind: 'permute', of, order, shape: order.map((axis) => of.shape[axis] ?? 0) }
}

/**
 * `of + scale · up · down`, of `[O, ...rest]`, up `[O, r]`, down `[r, ...rest]`: a LoRA on a matrix or a kernel.
 *
 * Hu et al. 2021 (arXiv:2106.09685), eq. 3, with alpha / r in `scale`.
 */
export function addLowRankRecipe(of: Recipe, up: Recipe, down: Recipe, scale: number): Recipe {
  const [rows, rank] = up.shape
  const fits =
    up.shape.length === 2 &&
    rows === of.shape[0] &&
    rank === down.shape[0] &&
    sameShape(down.shape.slice(1), of.shape.slice(1))
  if (!fits) {
    throw new EngineError(
      'shape-mismatch',
      `addLowRank: expected [O, r] and [r, ...] for ${formatShape(of.shape)}, got ${formatShape(up.shape)} and ${formatShape(down.shape)}`,
    )
  }
  return { kind: 'addLowRank', of, up, down, scale, shape: of.shape }
}

/** The recipe with something else in place of its tensors; nodes whose tensors stay are the same objects. */
export function replaceTensors(
  recipe: Recipe,
  replace: (tensor: Recipe & { readonly kind: 'tensor' }) => Recipe,
): Recipe {
  switch (recipe.kind) {
    case 'tensor':
      return replace(recipe)
    case 'literal':
      return recipe
    case 'concat': {
      const parts = recipe.parts.map((part) => replaceTensors(part, replace))
      return parts.every((part, index) => part === recipe.parts[index]) ? recipe : { ...recipe, parts }
    }
    case 'slice':
    case 'reshape':
    case 'permute': {
      const of = replaceTensors(recipe.of, replace)
      return of === recipe.of ? recipe : { ...recipe, of }
    }
    case 'addLowRank': {
      const [of, up, down] = [recipe.of, recipe.up, recipe.down].map((one) => replaceTensors(one, replace))
      const same = of === recipe.of && up === recipe.up && down === recipe.down
      return same || !of || !up || !down ? recipe : { ...recipe, of, up, down }
    }
    default:
      return recipe satisfies never
  }
}

/**
 * A type that holds every value of the recipe as it is: what its tensors have, where they are only moved; float32 where
 * values are computed or tensors of several types joined.
 *
 * @param typeOf - of a tensor as it is stored; `undefined` for types of which nothing is known.
 */
export function exactType(recipe: Recipe, typeOf: (name: string) => DType | undefined): DType {
  switch (recipe.kind) {
    case 'tensor':
      return typeOf(recipe.name) ?? 'f32'
    case 'concat': {
      const [first = 'f32', ...others] = recipe.parts.map((part) => exactType(part, typeOf))
      return others.every((type) => type === first) ? first : 'f32'
    }
    case 'slice':
    case 'reshape':
    case 'permute':
      return exactType(recipe.of, typeOf)
    case 'literal':
    case 'addLowRank':
      return 'f32'
    default:
      return recipe satisfies never
  }
}

/** The checkpoint tensors a recipe reads, in its order, with the shapes it expects them to have. */
export function recipeTensors(recipe: Recipe): { readonly name: string; readonly shape: Shape }[] {
  switch (recipe.kind) {
    case 'tensor':
      return [{ name: recipe.name, shape: recipe.shape }]
    case 'literal':
      return []
    case 'concat':
      return recipe.parts.flatMap(recipeTensors)
    case 'slice':
    case 'reshape':
    case 'permute':
      return recipeTensors(recipe.of)
    case 'addLowRank':
      return [recipe.of, recipe.up, recipe.down].flatMap(recipeTensors)
    default:
      return recipe satisfies never
  }
}
