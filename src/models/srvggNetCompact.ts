/**
 * SRVGGNetCompact: a plain stack of convolutions that enlarges a picture, with the nearest enlargement added.
 *
 * Wang et al. 2021 (Real-ESRGAN, arXiv:2107.10833); github.com/xinntao/Real-ESRGAN. Pictures in [0, 1].
 */

import { relu } from '../graph/ops/activation'
import { add } from '../graph/ops/add'
import { leakyRelu } from '../graph/ops/leakyRelu'
import { pixelShuffle } from '../graph/ops/pixelShuffle'
import { prelu } from '../graph/ops/prelu'
import { resizeNearest } from '../graph/ops/resizeNearest'
import { input, type Value } from '../graph/value'
import type { Shape } from '../tensor/shape'
import { jsonFields } from '../weights/jsonFields'
import { convLayer } from './blocks/layers'
import { rootScope, type Scope } from './blocks/scope'
import { type ModelDefinition, type ModelPorts, modelGraph, type Place, type Recognised } from './model'
import { sizeOf } from './sizes'

interface CompactConfig {
  readonly inChannels: number
  readonly outChannels: number
  readonly width: number
  /** Convolutions between the first and the last. */
  readonly convs: number
  readonly factor: number
  readonly activation: 'prelu' | 'relu' | 'leakyrelu'
}

function parse(config: unknown, at: Place): CompactConfig {
  const fields = jsonFields(config, at.configFile ?? at.component)
  const parsed: CompactConfig = {
    inChannels: fields.integer('num_in_ch', { default: 3, min: 1 }),
    outChannels: fields.integer('num_out_ch', { default: 3, min: 1 }),
    width: fields.integer('num_feat', { default: 64, min: 1 }),
    convs: fields.integer('num_conv', { default: 16, min: 0 }),
    factor: fields.integer('upscale', { default: 4, min: 1 }),
    activation: fields.oneOf('act_type', ['prelu', 'relu', 'leakyrelu'], 'prelu'),
  }
  fields.inert('architectures')
  fields.end()
  // The enlarged picture is added to the result, channel by channel.
  if (parsed.inChannels !== parsed.outChannels)
    fields.fail('num_out_ch', `num_in_ch ${parsed.inChannels}`, parsed.outChannels)
  return parsed
}

function portsOf(c: CompactConfig): ModelPorts {
  return {
    inputs: [
      { kind: 'picture', name: 'sample', aliases: ['x'], input: 'sample', axes: [c.inChannels, 'height', 'width'] },
    ],
    outputs: [{ kind: 'picture', name: 'sample', output: 'sample' }],
    smallest: { height: 1, width: 1 },
  }
}

/** The enlarger. Config fields are the arguments of the original class. */
export const srvggNetCompact: ModelDefinition = {
  className: 'SRVGGNetCompact',
  renames: () => [],
  ports: (config, at) => portsOf(parse(config, at)),
  build(config, at, sizes, outputs) {
    const c = parse(config, at)
    const [height, width] = [sizeOf(sizes, 'height', at), sizeOf(sizes, 'width', at)]
    const body = rootScope(at.scope).child('body')
    const picture = input('sample', 'latent', {
      shape: [height, width, c.inChannels],
      dtype: 'f32',
      axes: ['h', 'w', 'C'],
    })
    let x = picture
    for (let i = 0; i <= c.convs; i += 1) {
      x = convLayer(body.child(2 * i), x, c.width, { kernel: 3, padding: 1 }) // [H, W, width]
      x = activate(body.child(2 * i + 1), x, c.activation)
    }
    x = convLayer(body.child(2 * c.convs + 2), x, c.outChannels * c.factor ** 2, { kernel: 3, padding: 1 })
    x = pixelShuffle('upsampler', x, c.factor) // [H f, W f, C]
    const base = resizeNearest('base', picture, [height * c.factor, width * c.factor])
    return modelGraph(at.component, portsOf(c), { sample: add('base', x, base) }, outputs)
  },
  recognise,
}

function activate(scope: Scope, x: Value, kind: CompactConfig['activation']): Value {
  switch (kind) {
    case 'prelu':
      return prelu(scope.path, x, scope.tensor('weight', [x.shape.at(-1) ?? 0]))
    case 'relu':
      return relu(scope.path, x)
    case 'leakyrelu':
      return leakyRelu(scope.path, x, 0.1)
    default:
      return kind satisfies never
  }
}

/** The published files with learned slopes: `body.0` to `body.N`, activations between. */
function recognise(shapes: ReadonlyMap<string, Shape>): Recognised | undefined {
  if ([...shapes.keys()].some((name) => !/^body\.\d+\.(weight|bias)$/.test(name))) return undefined
  const convs = [...shapes].filter(([name, shape]) => name.endsWith('.weight') && shape.length === 4).length
  const first = shapes.get('body.0.weight')
  const last = shapes.get(`body.${2 * convs - 2}.weight`)
  if (!first || !last || shapes.get('body.1.weight')?.length !== 1) return undefined
  const channels = first[1] ?? 0
  return {
    config: {
      num_in_ch: channels,
      num_out_ch: channels,
      num_feat: first[0],
      num_conv: convs - 2,
      upscale: Math.sqrt((last[0] ?? 0) / channels),
      act_type: 'prelu',
    },
  }
}
