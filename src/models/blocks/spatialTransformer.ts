/** Transformer blocks over the pixels of a picture that read a text: diffusers' `Transformer2DModel` inside UNets. */

import { add } from '../../graph/ops/add'
import { geglu } from '../../graph/ops/geglu'
import { reshape } from '../../graph/ops/reshape'
import type { Value } from '../../graph/value'
import { attentionLayer, DIFFUSERS_PROJECTIONS } from './attentionLayer'
import { DIFFUSERS_FEED_FORWARD } from './feedForward'
import { groupNormLayer, layerNormLayer, linearLayer, pointwiseLayer } from './layers'
import type { Scope } from './scope'

/** Epsilon of the norm ahead of the blocks, whatever the config says of others. */
const GROUP_EPS = 1e-6

/** Epsilon of the norms inside a block. */
const LAYER_EPS = 1e-5

/** The text a UNet reads. */
export interface TextContext {
  /** Shape [S, C]. */
  readonly states: Value
  /** How many of the S tokens exist, shape [1] i32. */
  readonly length: Value
}

export interface SpatialTransformerOptions {
  readonly blocks: number
  readonly heads: number
  readonly groups: number
  /** Projections are linear layers, not 1 x 1 convolutions: only the shape of their weights differs. */
  readonly linearProjection: boolean
  readonly text: TextContext
}

/**
 * `x + proj_out(blocks(proj_in(norm(x))))`.
 *
 * @param x - shape [H, W, C].
 * @returns shape [H, W, C].
 */
export function spatialTransformer(scope: Scope, x: Value, options: SpatialTransformerOptions): Value {
  const { blocks, heads, groups, linearProjection, text } = options
  const [height = 0, width = 0, channels = 0] = x.shape
  const project = linearProjection ? linearLayer : pointwiseLayer
  const normed = groupNormLayer(scope.child('norm'), x, { groups, eps: GROUP_EPS })
  let tokens = reshape(scope.path, normed, [height * width, channels], ['L', 'D'])
  tokens = project(scope.child('proj_in'), tokens, channels)
  for (let i = 0; i < blocks; i += 1) {
    tokens = transformerBlock(scope.child('transformer_blocks').child(i), tokens, heads, text)
  }
  tokens = project(scope.child('proj_out'), tokens, channels)
  return add(scope.path, reshape(scope.path, tokens, [height, width, channels], x.axes), x)
}

/**
 *     x ← x + attn1(norm1(x))
 *     x ← x + attn2(norm2(x), text)
 *     x ← x + ff(norm3(x))                     W2 geglu(W1 y + b1) + b2
 *
 * @param x - shape [L, D].
 * @returns shape [L, D].
 */
function transformerBlock(scope: Scope, x: Value, heads: number, text: TextContext): Value {
  const at = scope.path
  const width = x.shape.at(-1) ?? 0
  const norm = (index: number): Value => layerNormLayer(scope.child(`norm${index}`), x, { eps: LAYER_EPS })
  const shared = { heads, bias: false, names: DIFFUSERS_PROJECTIONS }
  x = add(at, attentionLayer(scope.child('attn1'), norm(1), shared), x)
  const read = { ...shared, context: text.states, kvLength: text.length }
  x = add(at, attentionLayer(scope.child('attn2'), norm(2), read), x)
  const mlp = scope.child('ff')
  const [first, second] = DIFFUSERS_FEED_FORWARD
  const raised = geglu(mlp.path, linearLayer(mlp.child(first), norm(3), 8 * width)) // [L, 4 D]
  return add(at, linearLayer(mlp.child(second), raised, width), x)
}
