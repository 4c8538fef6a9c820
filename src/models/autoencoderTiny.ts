/**
 * The tiny autoencoder TAESD, as diffusers' `AutoencoderTiny` computes it: pictures in [-1, 1], raw latents.
 *
 * Ollin Boer Bohan, github.com/madebyollin/taesd. Its own files (bare indices of a Sequential, pictures in [0, 1]) are
 * read through a rename table.
 */

import { type ActivationName, activation, relu } from '../graph/ops/activation'
import { add } from '../graph/ops/add'
import { clampTanh } from '../graph/ops/clampTanh'
import { offset } from '../graph/ops/offset'
import { resizeNearest } from '../graph/ops/resizeNearest'
import { scale } from '../graph/ops/scale'
import { input, type Value } from '../graph/value'
import type { Shape } from '../tensor/shape'
import { jsonFields } from '../weights/jsonFields'
import type { RenameTable } from '../weights/renames'
import { convLayer } from './blocks/layers'
import { rootScope, type Scope } from './blocks/scope'
import { halfOf, halfPorts } from './halves'
import { type ModelDefinition, type ModelPorts, modelGraph, type Place, type Recognised } from './model'
import { sizeOf } from './sizes'

interface Half {
  /** Channels of each stage. */
  readonly channels: readonly number[]
  /** Residual blocks of each stage. */
  readonly blocks: readonly number[]
}

interface TinyConfig {
  readonly inChannels: number
  readonly outChannels: number
  readonly latentChannels: number
  readonly activation: ActivationName
  readonly upsampling: number
  readonly encoder: Half
  readonly decoder: Half
}

const ACTIVATIONS: Readonly<Record<'relu' | 'silu' | 'swish' | 'gelu', ActivationName>> = {
  relu: 'relu',
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
}

function parse(config: unknown, at: Place): TinyConfig {
  const fields = jsonFields(config, at.configFile ?? at.component)
  const half = (name: 'encoder' | 'decoder', blocks: readonly number[]): Half => {
    const parsed = {
      channels: fields.integers(`${name}_block_out_channels`, { default: [64, 64, 64, 64], min: 1 }),
      blocks: fields.integers(`num_${name}_blocks`, { default: blocks, min: 0 }),
    }
    if (parsed.channels.length !== parsed.blocks.length)
      fields.fail(`num_${name}_blocks`, `${parsed.channels.length} stages`)
    // Every stage's convolution keeps its own width, so a change of width is a network diffusers itself cannot run.
    if (new Set(parsed.channels).size > 1) fields.fail(`${name}_block_out_channels`, 'one width for all stages')
    return parsed
  }
  const parsed: TinyConfig = {
    inChannels: fields.integer('in_channels', { default: 3, min: 1 }),
    outChannels: fields.integer('out_channels', { default: 3, min: 1 }),
    latentChannels: fields.integer('latent_channels', { default: 4, min: 1 }),
    activation: ACTIVATIONS[fields.oneOf('act_fn', ['relu', 'silu', 'swish', 'gelu'], 'relu')],
    upsampling: fields.integer('upsampling_scaling_factor', { default: 2, min: 1 }),
    encoder: half('encoder', [1, 3, 3, 3]),
    decoder: half('decoder', [3, 3, 3, 1]),
  }
  fields.only('upsample_fn', 'nearest')
  // What a pipeline does with latents around this network; and a copy of decoder_block_out_channels.
  fields.inert(
    'latent_magnitude',
    'latent_shift',
    'scaling_factor',
    'shift_factor',
    'force_upcast',
    'block_out_channels',
  )
  fields.end()
  return parsed
}

function portsOf(c: TinyConfig, at: Place): ModelPorts {
  return halfPorts(at, { ...c, encoded: 'latents', smallest: 1 })
}

/**
 * Names of the published TAESD files, one half each, are indices of a Sequential. The decoder's begins with a clamp that
 * diffusers applies outside its list, hence the shift by one. Files with both halves: the other one is not needed.
 */
function renames(half: 'encoder' | 'decoder'): RenameTable {
  return half === 'encoder'
    ? [{ from: /^decoder\./ }, { from: /^(\d+)\./, to: 'encoder.layers.$1.' }]
    : [{ from: /^encoder\./ }, { from: /^(\d+)\./, to: (index) => `decoder.layers.${Number(index) - 1}.` }]
}

/** Both halves of TAESD and its kin with 4 or 16 latent channels. */
export const autoencoderTiny: ModelDefinition = {
  className: 'AutoencoderTiny',
  parts: ['encoder', 'decoder'],
  renames: (_config, at) => renames(halfOf(at)),
  ports: (config, at) => portsOf(parse(config, at), at),
  build(config, at, sizes, outputs) {
    const c = parse(config, at)
    const half = halfOf(at)
    const size = [sizeOf(sizes, 'height', at), sizeOf(sizes, 'width', at)]
    const layers = rootScope(at.scope).child(half).child('layers')
    const axes = ['h', 'w', 'C']
    const made: Record<string, Value> =
      half === 'encoder'
        ? {
            latents: encode(
              layers,
              c,
              input('sample', 'latent', { shape: [...size, c.inChannels], dtype: 'f32', axes }),
            ),
          }
        : {
            sample: decode(
              layers,
              c,
              input('latent', 'latent', { shape: [...size, c.latentChannels], dtype: 'f32', axes }),
            ),
          }
    return modelGraph(`${at.component}.${half}`, portsOf(c, at), made, outputs)
  },
  recognise,
}

/**
 * Stages of blocks, each but the first halving the picture.
 *
 * @param x - shape [H, W, C], values in [-1, 1].
 * @returns latents, shape [H/8, W/8, Z] with four stages, rounded up.
 */
function encode(layers: Scope, { encoder, activation: kind, latentChannels }: TinyConfig, x: Value): Value {
  let index = 0
  const next = (): Scope => layers.child(index++)
  x = scale('encoder', offset('encoder', x, 1), 0.5) // [0, 1]
  encoder.channels.forEach((width, stage) => {
    x =
      stage === 0
        ? convLayer(next(), x, width, { kernel: 3, padding: 1 })
        : convLayer(next(), x, width, { kernel: 3, padding: 1, stride: 2, bias: false })
    for (let i = 0; i < (encoder.blocks[stage] ?? 0); i += 1) x = block(next(), x, kind)
  })
  return convLayer(next(), x, latentChannels, { kernel: 3, padding: 1 })
}

/**
 * Stages of blocks, each but the last enlarging the picture.
 *
 * @param x - latents, shape [h, w, Z].
 * @returns shape [8 h, 8 w, C] with four stages and factor 2, values about [-1, 1].
 */
function decode(layers: Scope, { decoder, activation: kind, upsampling, outChannels }: TinyConfig, x: Value): Value {
  let index = 0
  const next = (): Scope => layers.child(index++)
  x = clampTanh('decoder', x, 3)
  x = convLayer(next(), x, decoder.channels[0] ?? 0, { kernel: 3, padding: 1 })
  x = activation(next().path, x, kind)
  decoder.channels.forEach((width, stage) => {
    for (let i = 0; i < (decoder.blocks[stage] ?? 0); i += 1) x = block(next(), x, kind)
    if (stage === decoder.channels.length - 1) {
      x = convLayer(next(), x, outChannels, { kernel: 3, padding: 1 })
      return
    }
    const [height = 0, cells = 0] = x.shape
    x = resizeNearest(next().path, x, [height * upsampling, cells * upsampling])
    x = convLayer(next(), x, width, { kernel: 3, padding: 1, bias: false })
  })
  return offset('decoder', scale('decoder', x, 2), -1) // [-1, 1]
}

/** `relu(conv(f(conv(f(conv(x))))) + x)`, shape kept. */
function block(scope: Scope, x: Value, kind: ActivationName): Value {
  const width = x.shape.at(-1) ?? 0
  const convs = scope.child('conv')
  let y = x
  for (const index of [0, 2, 4]) {
    if (index > 0) y = activation(convs.child(index - 1).path, y, kind)
    y = convLayer(convs.child(index), y, width, { kernel: 3, padding: 1 })
  }
  return relu(scope.child('fuse').path, add(scope.path, y, x))
}

/** The published halves: 14 or 19 layers of the default arrangement. */
function recognise(shapes: ReadonlyMap<string, Shape>): Recognised | undefined {
  if ([...shapes.keys()].some((name) => !/^\d+\.(conv\.[024]\.)?(weight|bias)$/.test(name))) return undefined
  const [into, out] = [shapes.get('0.weight'), shapes.get('14.weight')]
  if (into?.length === 4 && out?.length === 4 && !shapes.has('15.conv.0.weight')) {
    return {
      parts: ['encoder'],
      config: { in_channels: into[1], latent_channels: out[0], encoder_block_out_channels: Array(4).fill(into[0]) },
    }
  }
  const [first, last] = [shapes.get('1.weight'), shapes.get('19.weight')]
  if (first?.length === 4 && last?.length === 4) {
    return {
      parts: ['decoder'],
      config: { latent_channels: first[1], out_channels: last[0], decoder_block_out_channels: Array(4).fill(first[0]) },
    }
  }
  return undefined
}
