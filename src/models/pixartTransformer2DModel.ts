/**
 * PixArt-α and PixArt-Σ: text-conditional diffusion transformer, as diffusers' `PixArtTransformer2DModel` computes it.
 *
 * Chen et al. 2023 (arXiv:2310.00426), adaLN-single; Chen et al. 2024 (arXiv:2403.04692).
 */

import { silu } from '../graph/ops/activation'
import { add } from '../graph/ops/add'
import { concat } from '../graph/ops/concat'
import { modulate } from '../graph/ops/modulate'
import { chunk } from '../graph/ops/slice'
import { input, type Value } from '../graph/value'
import { jsonFields } from '../weights/jsonFields'
import { feedForward, LINEAR_PAIR } from './blocks/feedForward'
import { flatTable, layerNormLayer, linearLayer } from './blocks/layers'
import { modulatedBlock } from './blocks/modulatedBlock'
import { patchEmbed, unpatchify } from './blocks/patches'
import { rootScope, type Scope } from './blocks/scope'
import { timeEmbedder } from './blocks/timeEmbedder'
import { type TransformerConfig, transformerConfig } from './blocks/transformerConfig'
import { type InputPort, type ModelDefinition, type ModelPorts, modelGraph, type Place } from './model'
import { divisible, sizeOf } from './sizes'

interface PixArtConfig extends TransformerConfig {
  /** Width of the text that attn2 reads; `null` for a network without text. */
  readonly crossWidth: number | null
  /** Width of the caption before its projection; `null` for none. */
  readonly captionWidth: number | null
  readonly interpolationScale: number
  /** Resolution and aspect ratio are embedded beside the timestep. */
  readonly microConditions: boolean
}

function parse(config: unknown, at: Place): PixArtConfig {
  const fields = jsonFields(config, at.configFile ?? at.component)
  const shared = transformerConfig(fields, {
    normType: 'ada_norm_single',
    sampleSize: 128,
    outChannels: 8,
    normEps: 1e-6,
  })
  const crossWidth = fields.integerOrNull('cross_attention_dim', { default: 1152, min: 1 })
  const captionWidth = fields.integerOrNull('caption_channels', { default: null, min: 1 })
  const scale = fields.numberOrNull('interpolation_scale', { default: null, min: Number.MIN_VALUE }) // 0.5 at 256 pixels
  const microConditions = fields.booleanOrNull('use_additional_conditions', null) ?? shared.sampleSize === 128
  fields.end()
  if (captionWidth !== null && crossWidth !== null && crossWidth !== shared.width) {
    fields.fail('cross_attention_dim', `${shared.width}, the width of the projected caption`)
  }
  if (microConditions && shared.width % 3 !== 0) {
    fields.fail('use_additional_conditions', `false, or a width divisible by 3 (got width ${shared.width})`)
  }
  return {
    ...shared,
    crossWidth,
    captionWidth,
    interpolationScale: scale ?? Math.max(Math.floor(shared.sampleSize / 64), 1),
    microConditions,
  }
}

function portsOf(c: PixArtConfig): ModelPorts {
  const text: InputPort[] =
    c.crossWidth === null
      ? []
      : [
          {
            kind: 'numbers',
            name: 'encoder_hidden_states',
            input: 'encoder_hidden_states',
            axes: ['textLength', c.captionWidth ?? c.crossWidth],
          },
          { kind: 'prefixMask', name: 'encoder_attention_mask', input: 'encoder_length', axes: ['textLength'] },
        ]
  const micro: InputPort[] = c.microConditions
    ? [
        {
          kind: 'numbers',
          name: 'added_cond_kwargs.resolution',
          aliases: ['resolution'],
          input: 'resolution',
          axes: [2],
        },
        {
          kind: 'numbers',
          name: 'added_cond_kwargs.aspect_ratio',
          aliases: ['aspect_ratio'],
          input: 'aspect_ratio',
          axes: [1],
        },
      ]
    : []
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
      ...text,
      ...micro,
    ],
    outputs: [{ kind: 'picture', name: 'sample', output: 'sample' }],
    smallest: { height: c.patch, width: c.patch, textLength: 1 },
  }
}

/** The text network; published files of the class `Transformer2DModel` with `ada_norm_single` are it too. */
export const pixartTransformer2DModel: ModelDefinition = {
  className: 'PixArtTransformer2DModel',
  // Computed tables, and the learned "no caption" of training, stored by old versions.
  renames: () => [{ from: /^pos_embed\.pos_embed$/ }, { from: /^caption_projection\.y_embedding$/ }],
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

    const grid = {
      height,
      width,
      baseSize: Math.floor(c.sampleSize / c.patch),
      interpolationScale: c.interpolationScale,
    }
    let x = patchEmbed(root.child('pos_embed'), sample, { patch: c.patch, width: c.width, grid }) // [L, D]
    const single = root.child('adaln_single')
    const embedded = conditioning(single.child('emb'), c) // [D]
    const modulation = linearLayer(single.child('linear'), silu(single.path, embedded), 6 * c.width) // [6 D]
    const cross = c.crossWidth === null ? undefined : textOf(root, c, c.crossWidth, sizeOf(sizes, 'textLength', at))
    for (let i = 0; i < c.layers; i += 1) {
      const scope = root.child('transformer_blocks').child(i)
      x = modulatedBlock(scope, x, {
        config: c,
        modulation: add(scope.path, modulation, flatTable(scope, 'scale_shift_table', 6, c.width)),
        norms: [
          (y) => layerNormLayer(scope.child('norm1'), y, { eps: c.normEps, affine: c.normAffine }),
          (y) => layerNormLayer(scope.child('norm2'), y, { eps: c.normEps, affine: c.normAffine }),
        ],
        ...(cross ? { cross } : {}),
      })
    }

    const [shiftRow, scaleRow] = chunk('scale_shift_table', flatTable(root, 'scale_shift_table', 2, c.width), 2)
    if (!shiftRow || !scaleRow) throw new RangeError('a modulation has two parts')
    const shift = add('norm_out', embedded, shiftRow)
    const scale = add('norm_out', embedded, scaleRow)
    const normed = layerNormLayer(root.child('norm_out'), x, { eps: 1e-6, affine: false })
    const tokens = linearLayer(
      root.child('proj_out'),
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

/** Time, and the picture's size and shape where the network knows them, as one vector: shape [D]. */
function conditioning(scope: Scope, c: PixArtConfig): Value {
  const timestep = input('timestep', 'step', { shape: [1], dtype: 'f32', axes: ['_'] })
  const time = timeEmbedder(scope.child('timestep_embedder'), timestep, { width: c.width, shift: 0 })
  if (!c.microConditions) return time
  const third = c.width / 3
  const resolution = input('resolution', 'prompt', { shape: [2], dtype: 'f32', axes: ['_'] })
  const aspect = input('aspect_ratio', 'prompt', { shape: [1], dtype: 'f32', axes: ['_'] })
  const sides = chunk(scope.path, resolution, 2).map((side) =>
    timeEmbedder(scope.child('resolution_embedder'), side, { width: third, shift: 0 }),
  )
  const ratio = timeEmbedder(scope.child('aspect_ratio_embedder'), aspect, { width: third, shift: 0 })
  return add(scope.path, time, concat(scope.path, [...sides, ratio], 0))
}

/** The text that all blocks read: projected when the config says so. Shape [S, C]. */
function textOf(root: Scope, c: PixArtConfig, crossWidth: number, length: number): { context: Value; kvLength: Value } {
  const states = input('encoder_hidden_states', 'prompt', {
    shape: [length, c.captionWidth ?? crossWidth],
    dtype: 'f32',
    axes: ['S', 'C'],
  })
  // diffusers adds -10000 to the scores of padding: exp of that is 0 in every dtype, as if those keys did not exist.
  const kvLength = input('encoder_length', 'prompt', { shape: [1], dtype: 'i32', axes: ['_'] })
  if (c.captionWidth === null) return { context: states, kvLength }
  const projection = { hidden: c.width, out: c.width, activation: 'gelu_tanh', names: LINEAR_PAIR } as const
  return { context: feedForward(root.child('caption_projection'), states, projection), kvLength }
}
