/** The config fields that DiT and PixArt share, the legacy class `Transformer2DModel` included. */

import type { ActivationName } from '../../graph/ops/activation'
import type { JsonFields } from '../../weights/jsonFields'

/** A patch transformer, resolved. */
export interface TransformerConfig {
  readonly heads: number
  /** Width of the residual stream, heads · K. */
  readonly width: number
  readonly inChannels: number
  readonly outChannels: number
  readonly layers: number
  readonly attentionBias: boolean
  /** Latent cells per side at the trained size. */
  readonly sampleSize: number
  readonly patch: number
  readonly activation: ActivationName
  /** Classes of DiT; unused by PixArt. */
  readonly embeds: number
  readonly normAffine: boolean
  readonly normEps: number
}

/** What differs between the classes. */
export interface TransformerDefaults {
  readonly normType: string
  readonly sampleSize: number
  readonly outChannels: number | null
  readonly normEps: number
}

const ACTIVATIONS: Readonly<Record<'gelu-approximate' | 'gelu', ActivationName>> = {
  'gelu-approximate': 'gelu_tanh',
  gelu: 'gelu',
}

/** Reads the shared fields; the caller reads its own and calls `end`. */
export function transformerConfig(fields: JsonFields, defaults: TransformerDefaults): TransformerConfig {
  const heads = fields.integer('num_attention_heads', { default: 16, min: 1 })
  const headDim = fields.integer('attention_head_dim', { default: 72, min: 1 })
  const inChannels = fields.integer('in_channels', { default: 4, min: 1 })
  const patch = fields.integer('patch_size', { default: 2, min: 1 })
  const sampleSize = fields.integer('sample_size', { default: defaults.sampleSize, min: 1 })
  const width = heads * headDim
  if (width % 4 !== 0)
    fields.fail('attention_head_dim', `num_attention_heads · attention_head_dim divisible by 4`, width)
  if (sampleSize < patch) fields.fail('sample_size', `at least one patch of ${patch}`)
  fields.only('norm_type', defaults.normType)
  // Softmax always runs in float32 here, which is all that upcast_attention asks for.
  fields.boolean('upcast_attention', false)
  // Training only, or read by no layer of these classes.
  fields.inert('dropout', 'norm_num_groups')
  fields.only('use_linear_projection', false)
  fields.only('only_cross_attention', false)
  fields.only('double_self_attention', false)
  fields.only('num_vector_embeds', null)
  fields.only('attention_type', 'default')
  return {
    heads,
    width,
    inChannels,
    outChannels: fields.integerOrNull('out_channels', { default: defaults.outChannels, min: 1 }) ?? inChannels,
    layers: fields.integer('num_layers', { default: 28, min: 1 }),
    attentionBias: fields.boolean('attention_bias', true),
    sampleSize,
    patch,
    activation: ACTIVATIONS[fields.oneOf('activation_fn', ['gelu-approximate', 'gelu'], 'gelu-approximate')],
    embeds: fields.integer('num_embeds_ada_norm', { default: 1000, min: 1 }),
    normAffine: fields.boolean('norm_elementwise_affine', false),
    normEps: fields.number('norm_eps', { default: defaults.normEps, min: 0 }),
  }
}
