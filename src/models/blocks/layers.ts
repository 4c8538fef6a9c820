/** Layers with parameters: linear, convolution, norms, embedding table, each asking its scope for PyTorch's names. */

import { type Conv2dOptions, conv2d } from '../../graph/ops/conv2d'
import { embedding } from '../../graph/ops/embedding'
import { groupNorm } from '../../graph/ops/groupNorm'
import { layerNorm } from '../../graph/ops/layerNorm'
import { linear } from '../../graph/ops/linear'
import { permuteRecipe, reshapeRecipe } from '../../graph/recipe'
import { param, type Value } from '../../graph/value'
import type { Scope } from './scope'

/**
 * `nn.Linear`.
 *
 * @param x - shape [..., K].
 * @param out - N.
 * @returns shape [..., N].
 */
export function linearLayer(scope: Scope, x: Value, out: number, { bias = true } = {}): Value {
  const weight = scope.tensor('weight', [out, x.shape.at(-1) ?? 0])
  return linear(scope.path, x, weight, bias ? scope.tensor('bias', [out]) : undefined)
}

/**
 * A square `nn.Conv2d`; the checkpoint's O I kh kw becomes O kh kw I.
 *
 * @param x - shape [H, W, I].
 * @param out - O.
 * @returns shape [H', W', O].
 */
export function convLayer(
  scope: Scope,
  x: Value,
  out: number,
  { kernel, bias = true, ...options }: Conv2dOptions & { readonly kernel: number; readonly bias?: boolean },
): Value {
  const channels = x.shape.at(-1) ?? 0
  const recipe = permuteRecipe(scope.recipe('weight', [out, channels, kernel, kernel]), [0, 2, 3, 1])
  const weight = param(recipe, [out, kernel, kernel, channels], `${scope.path}.weight`)
  return conv2d(scope.path, x, weight, bias ? scope.tensor('bias', [out]) : undefined, options)
}

/**
 * `nn.Conv2d` with a 1 x 1 kernel, which is a linear layer over the channels of every pixel.
 *
 * @param x - shape [..., I].
 * @param out - O.
 * @returns shape [..., O].
 */
export function pointwiseLayer(scope: Scope, x: Value, out: number): Value {
  const channels = x.shape.at(-1) ?? 0
  const recipe = reshapeRecipe(scope.recipe('weight', [out, channels, 1, 1]), [out, channels])
  return linear(scope.path, x, param(recipe, recipe.shape, `${scope.path}.weight`), scope.tensor('bias', [out]))
}

/**
 * `nn.GroupNorm`.
 *
 * @param x - shape [H, W, C].
 * @returns shape [H, W, C].
 */
export function groupNormLayer(
  scope: Scope,
  x: Value,
  { groups, eps }: { readonly groups: number; readonly eps: number },
): Value {
  const channels = x.shape.at(-1) ?? 0
  return groupNorm(scope.path, x, groups, {
    eps,
    weight: scope.tensor('weight', [channels]),
    bias: scope.tensor('bias', [channels]),
  })
}

/**
 * `nn.LayerNorm` over the last axis.
 *
 * @param x - shape [..., C].
 * @returns shape [..., C].
 */
export function layerNormLayer(
  scope: Scope,
  x: Value,
  { eps, affine = true }: { readonly eps: number; readonly affine?: boolean },
): Value {
  if (!affine) return layerNorm(scope.path, x, { eps })
  const channels = x.shape.at(-1) ?? 0
  return layerNorm(scope.path, x, {
    eps,
    weight: scope.tensor('weight', [channels]),
    bias: scope.tensor('bias', [channels]),
  })
}

/**
 * `nn.Embedding`.
 *
 * @param ids - shape [L], i32.
 * @returns shape [L, D].
 */
export function embeddingLayer(scope: Scope, ids: Value, count: number, width: number): Value {
  return embedding(scope.path, ids, scope.tensor('weight', [count, width]))
}

/** A checkpoint tensor [G, D] as one vector [G · D]: tables of shifts, scales and gates. */
export function flatTable(scope: Scope, name: string, rows: number, width: number): Value {
  return param(reshapeRecipe(scope.recipe(name, [rows, width]), [rows * width]), [rows * width], scope.child(name).path)
}
