/**
 * DiT: class-conditional diffusion transformer, as diffusers' `DiTTransformer2DModel` computes it.
 *
 * Peebles, Xie 2022 (arXiv:2212.09748), adaLN-Zero. What differs from the paper's code: frequencies end at 1/10000
 * (`downscale_freq_shift` 1), and every block has its own time and class embedder (they are equal in published files).
 */

import { silu } from '../graph/ops/activation'
import { add } from '../graph/ops/add'
import { modulate } from '../graph/ops/modulate'
import { reshape } from '../graph/ops/reshape'
import { chunk } from '../graph/ops/slice'
import { input, type Value } from '../graph/value'
import { jsonFields } from '../weights/jsonFields'
import { embeddingLayer, layerNormLayer, linearLayer } from './blocks/layers'
import { modulatedBlock } from './blocks/modulatedBlock'
import { patchEmbed, unpatchify } from './blocks/patches'
import { rootScope, type Scope } from './blocks/scope'
import { timeEmbedder } from './blocks/timeEmbedder'
import { type TransformerConfig, transformerConfig } from './blocks/transformerConfig'
import { type ModelDefinition, type ModelPorts, modelGraph, type Place } from './model'
import { divisible } from './sizes'

function parse(config: unknown, at: Place): TransformerConfig {
  const fields = jsonFields(config, at.configFile ?? at.component)
  const parsed = transformerConfig(fields, {
    normType: 'ada_norm_zero',
    sampleSize: 32,
    outChannels: null,
    normEps: 1e-5,
  })
  for (const name of ['cross_attention_dim', 'caption_channels', 'interpolation_scale', 'use_additional_conditions'])
    fields.only(name, null)
  fields.end()
  return parsed
}

function portsOf(c: TransformerConfig): ModelPorts {
  return {
    inputs: [
      {
        kind: 'picture',
        name: 'hidden_states',
        aliases: ['sample'],
        input: 'hidden_states',
        axes: [c.inChannels, 'height', 'width'],
      },
      { kind: 'timestep', name: 'timestep', input: 'timestep', axes: [] },
      // One class more than the config names: the last stands for "no class" under guidance.
      { kind: 'ids', name: 'class_labels', input: 'class_labels', axes: [], below: c.embeds + 1 },
    ],
    outputs: [{ kind: 'picture', name: 'sample', output: 'sample' }],
    smallest: { height: c.patch, width: c.patch },
  }
}

/** The class network; published files of the class `Transformer2DModel` with `ada_norm_zero` are it too. */
export const ditTransformer2DModel: ModelDefinition = {
  className: 'DiTTransformer2DModel',
  // Tables that are computed, stored by old versions.
  renames: () => [{ from: /^pos_embed\.pos_embed$/ }],
  ports: (config, at) => portsOf(parse(config, at)),
  build(config, at, sizes, outputs) {
    const c = parse(config, at)
    const height = divisible(sizes, 'height', c.patch, at)
    const width = divisible(sizes, 'width', c.patch, at)
    const root = rootScope(at.scope)
    const sample = input('hidden_states', 'latent', {
      shape: [height * c.patch, width * c.patch, c.inChannels],
      dtype: 'f32',
      axes: ['h', 'w', 'C'],
    })
    const timestep = input('timestep', 'step', { shape: [1], dtype: 'f32', axes: ['_'] })
    const label = input('class_labels', 'prompt', { shape: [1], dtype: 'i32', axes: ['_'] })

    const grid = { height, width, baseSize: Math.floor(c.sampleSize / c.patch), interpolationScale: 1 }
    let x = patchEmbed(root.child('pos_embed'), sample, { patch: c.patch, width: c.width, grid }) // [L, D]
    const embedded = Array.from({ length: c.layers }, (_, i) =>
      conditioning(blockScope(root, i).child('norm1').child('emb'), timestep, label, c),
    )
    embedded.forEach((embedding, i) => {
      const scope = blockScope(root, i)
      const norm1 = scope.child('norm1')
      const modulation = linearLayer(norm1.child('linear'), silu(norm1.path, embedding), 6 * c.width) // [6 D]
      x = modulatedBlock(scope, x, {
        config: c,
        modulation,
        norms: [
          (y) => layerNormLayer(norm1.child('norm'), y, { eps: 1e-6, affine: false }),
          (y) => layerNormLayer(scope.child('norm3'), y, { eps: c.normEps, affine: c.normAffine }),
        ],
      })
    })

    // The last modulation starts from the first block's embedding.
    const [first] = embedded
    if (!first) throw new RangeError('a transformer has at least one layer')
    const [shift, scale] = chunk(
      'proj_out_1',
      linearLayer(root.child('proj_out_1'), silu('proj_out_1', first), 2 * c.width),
      2,
    )
    if (!shift || !scale) throw new RangeError('a modulation has two parts')
    const normed = layerNormLayer(root.child('norm_out'), x, { eps: 1e-6, affine: false })
    const tokens = linearLayer(
      root.child('proj_out_2'),
      modulate('norm_out', normed, shift, scale),
      c.patch * c.patch * c.outChannels,
    )
    return modelGraph(
      at.component,
      portsOf(c),
      { sample: unpatchify('unpatchify', tokens, { patch: c.patch, height, width }) },
      outputs,
    )
  },
}

function blockScope(root: Scope, index: number): Scope {
  return root.child('transformer_blocks').child(index)
}

/** Time and class as one vector, shape [D]. */
function conditioning(scope: Scope, timestep: Value, label: Value, c: TransformerConfig): Value {
  const time = timeEmbedder(scope.child('timestep_embedder'), timestep, { width: c.width, shift: 1 })
  const row = embeddingLayer(scope.child('class_embedder').child('embedding_table'), label, c.embeds + 1, c.width) // [1, D]
  return add(scope.path, time, reshape(scope.path, row, [c.width], ['D']))
}
