/**
 * The autoencoder of latent diffusion, as diffusers' `AutoencoderKL` computes it: pictures in [-1, 1], raw latents.
 *
 * Rombach et al. 2022 (arXiv:2112.10752), section 3.1. The encoder gives the moments of the posterior, mean and
 * logarithm of the variance (not clamped); sampling, shift and scale are the pipeline's.
 */

import { add } from '../graph/ops/add'
import { reshape } from '../graph/ops/reshape'
import { input, type Value } from '../graph/value'
import { jsonFields } from '../weights/jsonFields'
import type { RenameRule, RenameTable } from '../weights/renames'
import { attentionLayer, DIFFUSERS_PROJECTIONS } from './blocks/attentionLayer'
import { blockTypes } from './blocks/blockTypes'
import { convLayer, groupNormLayer, pointwiseLayer } from './blocks/layers'
import { normSilu, resnetBlock, upsampleConv } from './blocks/resnetBlock'
import { rootScope, type Scope } from './blocks/scope'
import { halfOf, halfPorts } from './halves'
import { type ModelDefinition, type ModelPorts, modelGraph, type Place } from './model'
import { sizeOf } from './sizes'

/** Of every norm: diffusers' `resnet_eps` in this class. */
const EPS = 1e-6

interface KlConfig {
  readonly inChannels: number
  readonly outChannels: number
  readonly latentChannels: number
  /** Channels of each level, the picture's first; each level but the last halves the picture. */
  readonly channels: readonly number[]
  /** Residual blocks of an encoder's level; a decoder's has one more. */
  readonly layers: number
  readonly groups: number
  readonly quantConv: boolean
  readonly postQuantConv: boolean
  readonly midAttention: boolean
}

function parse(config: unknown, at: Place): KlConfig {
  const fields = jsonFields(config, at.configFile ?? at.component)
  const channels = fields.integers('block_out_channels', { default: [64], min: 1 })
  blockTypes(
    fields,
    config,
    'down_block_types',
    ['DownEncoderBlock2D'],
    channels.map(() => 'DownEncoderBlock2D'),
  )
  blockTypes(
    fields,
    config,
    'up_block_types',
    ['UpDecoderBlock2D'],
    channels.map(() => 'UpDecoderBlock2D'),
  )
  fields.only('act_fn', 'silu', 'swish')
  const groups = fields.integer('norm_num_groups', { default: 32, min: 1 })
  if (channels.some((width) => width % groups !== 0))
    fields.fail('norm_num_groups', `a divisor of block_out_channels ${channels.join(', ')}`, groups)
  const parsed: KlConfig = {
    inChannels: fields.integer('in_channels', { default: 3, min: 1 }),
    outChannels: fields.integer('out_channels', { default: 3, min: 1 }),
    latentChannels: fields.integer('latent_channels', { default: 4, min: 1 }),
    channels,
    layers: fields.integer('layers_per_block', { default: 1, min: 1 }),
    groups,
    quantConv: fields.boolean('use_quant_conv', true),
    postQuantConv: fields.boolean('use_post_quant_conv', true),
    midAttention: fields.boolean('mid_block_add_attention', true),
  }
  // What a pipeline does with latents around this network, in which type it runs it, and when it tiles.
  fields.inert('scaling_factor', 'shift_factor', 'latents_mean', 'latents_std', 'force_upcast', 'sample_size')
  fields.end()
  return parsed
}

function portsOf(c: KlConfig, at: Place): ModelPorts {
  return halfPorts(at, { ...c, encoded: 'moments', smallest: 2 ** (c.channels.length - 1) })
}

/** Projections of the attention in files older than diffusers 0.18. */
const OLD_PROJECTIONS: readonly RenameRule[] = Object.entries({
  query: 'to_q',
  key: 'to_k',
  value: 'to_v',
  proj_attn: 'to_out.0',
}).map(([old, now]) => ({ from: new RegExp(`(\\.attentions\\.\\d+)\\.${old}\\.`), to: `$1.${now}.` }))

/** The other half is not needed. */
const OTHER_HALF: Readonly<Record<'encoder' | 'decoder', RenameTable>> = {
  encoder: [{ from: /^(decoder|post_quant_conv)\./ }],
  decoder: [{ from: /^(encoder|quant_conv)\./ }],
}

/** Both halves of the autoencoder of Stable Diffusion and its kin, with 4 or 16 latent channels. */
export const autoencoderKl: ModelDefinition = {
  className: 'AutoencoderKL',
  parts: ['encoder', 'decoder'],
  renames: (_config, at) => [...OTHER_HALF[halfOf(at)], ...OLD_PROJECTIONS],
  ports: (config, at) => portsOf(parse(config, at), at),
  build(config, at, sizes, outputs) {
    const c = parse(config, at)
    const half = halfOf(at)
    const root = rootScope(at.scope)
    const size = [sizeOf(sizes, 'height', at), sizeOf(sizes, 'width', at)]
    const picture = (name: string, channels: number): Value =>
      input(name, 'latent', { shape: [...size, channels], dtype: 'f32', axes: ['h', 'w', 'C'] })
    const made: Record<string, Value> =
      half === 'encoder'
        ? { moments: encode(root, c, picture('sample', c.inChannels)) }
        : { sample: decode(root, c, picture('latent', c.latentChannels)) }
    return modelGraph(`${at.component}.${half}`, portsOf(c, at), made, outputs)
  },
}

/**
 * @param x - picture, shape [H, W, C].
 * @returns mean and log variance, shape [H/8, W/8, 2 Z] with four levels, rounded down.
 */
function encode(root: Scope, c: KlConfig, x: Value): Value {
  const encoder = root.child('encoder')
  const norm = { groups: c.groups, eps: EPS }
  const last = c.channels.length - 1
  x = convLayer(encoder.child('conv_in'), x, c.channels[0] ?? 0, { kernel: 3, padding: 1 })
  c.channels.forEach((out, level) => {
    const block = encoder.child('down_blocks').child(level)
    for (let i = 0; i < c.layers; i += 1) x = resnetBlock(block.child('resnets').child(i), x, { out, ...norm })
    if (level === last) return
    // One row of zeros below and one column on the right only.
    const conv = block.child('downsamplers').child(0).child('conv')
    x = convLayer(conv, x, out, { kernel: 3, stride: 2, padding: [0, 0, 1, 1] })
  })
  x = midBlock(encoder.child('mid_block'), c, x)
  x = normSilu(encoder.child('conv_norm_out'), x, norm)
  x = convLayer(encoder.child('conv_out'), x, 2 * c.latentChannels, { kernel: 3, padding: 1 })
  return c.quantConv ? pointwiseLayer(root.child('quant_conv'), x, 2 * c.latentChannels) : x
}

/**
 * @param x - latents, shape [h, w, Z].
 * @returns picture, shape [8 h, 8 w, C] with four levels, values about [-1, 1].
 */
function decode(root: Scope, c: KlConfig, x: Value): Value {
  const decoder = root.child('decoder')
  const norm = { groups: c.groups, eps: EPS }
  const channels = c.channels.toReversed()
  if (c.postQuantConv) x = pointwiseLayer(root.child('post_quant_conv'), x, c.latentChannels)
  x = convLayer(decoder.child('conv_in'), x, channels[0] ?? 0, { kernel: 3, padding: 1 })
  x = midBlock(decoder.child('mid_block'), c, x)
  channels.forEach((out, level) => {
    const block = decoder.child('up_blocks').child(level)
    for (let i = 0; i <= c.layers; i += 1) x = resnetBlock(block.child('resnets').child(i), x, { out, ...norm })
    if (level === channels.length - 1) return
    const [height = 0, width = 0] = x.shape
    x = upsampleConv(block.child('upsamplers').child(0), x, [2 * height, 2 * width])
  })
  x = normSilu(decoder.child('conv_norm_out'), x, norm)
  return convLayer(decoder.child('conv_out'), x, c.outChannels, { kernel: 3, padding: 1 })
}

/** Two residual blocks around attention of all pixels to all, one head as wide as the channels; shape kept. */
function midBlock(scope: Scope, c: KlConfig, x: Value): Value {
  const norm = { groups: c.groups, eps: EPS }
  const [height = 0, width = 0, out = 0] = x.shape
  const resnet = (index: number): Value => resnetBlock(scope.child('resnets').child(index), x, { out, ...norm })
  x = resnet(0)
  if (c.midAttention) {
    const attention = scope.child('attentions').child(0)
    const normed = groupNormLayer(attention.child('group_norm'), x, norm)
    const tokens = reshape(attention.path, normed, [height * width, out], ['L', 'C'])
    const mixed = attentionLayer(attention, tokens, { heads: 1, names: DIFFUSERS_PROJECTIONS })
    x = add(attention.path, reshape(attention.path, mixed, [height, width, out], ['h', 'w', 'C']), x)
  }
  return resnet(1)
}
