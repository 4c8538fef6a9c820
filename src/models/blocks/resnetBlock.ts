/** The residual block of autoencoders and UNets, diffusers' `ResnetBlock2D`, with and without a time embedding. */

import { silu } from '../../graph/ops/activation'
import { add } from '../../graph/ops/add'
import { resizeNearest } from '../../graph/ops/resizeNearest'
import type { Value } from '../../graph/value'
import { convLayer, groupNormLayer, linearLayer, pointwiseLayer } from './layers'
import type { Scope } from './scope'

export interface ResnetOptions {
  /** Channels of the result. */
  readonly out: number
  readonly groups: number
  readonly eps: number
  /** SiLU of the time embedding, shape [E], one value for all blocks, so that their projections become one matmul. */
  readonly time?: Value | undefined
}

/** `silu(group_norm(x))`: what stands before every convolution of these networks. */
export function normSilu(scope: Scope, x: Value, options: { readonly groups: number; readonly eps: number }): Value {
  return silu(scope.path, groupNormLayer(scope, x, options))
}

/**
 * With h = conv1(silu(norm1(x))), plus the time's projection per channel:
 *
 *     y = shortcut(x) + conv2(silu(norm2(h)))
 *
 * where the shortcut is a 1 x 1 convolution when the width changes.
 *
 * @param x - shape [H, W, I].
 * @returns shape [H, W, out].
 */
export function resnetBlock(scope: Scope, x: Value, { out, time, ...norm }: ResnetOptions): Value {
  // The sum's first operand is made first: then x may be overwritten as it is normed.
  const shortcut = x.shape.at(-1) === out ? x : pointwiseLayer(scope.child('conv_shortcut'), x, out)
  let h = convLayer(scope.child('conv1'), normSilu(scope.child('norm1'), x, norm), out, { kernel: 3, padding: 1 })
  if (time) h = add(scope.path, h, linearLayer(scope.child('time_emb_proj'), time, out))
  h = convLayer(scope.child('conv2'), normSilu(scope.child('norm2'), h, norm), out, { kernel: 3, padding: 1 })
  return add(scope.path, shortcut, h)
}

/**
 * Nearest enlargement, then a 3 x 3 convolution: diffusers' `Upsample2D`.
 *
 * @param x - shape [h, w, C].
 * @param size - [H, W].
 * @returns shape [H, W, C].
 */
export function upsampleConv(scope: Scope, x: Value, size: readonly [number, number]): Value {
  return convLayer(scope.child('conv'), resizeNearest(scope.path, x, size), x.shape.at(-1) ?? 0, {
    kernel: 3,
    padding: 1,
  })
}
