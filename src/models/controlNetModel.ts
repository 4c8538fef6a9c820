/**
 * ControlNet: a copy of a UNet's way down that reads a picture and gives residuals for the UNet, as diffusers'
 * `ControlNetModel` computes it.
 *
 * Zhang, Rao, Agrawala 2023 (arXiv:2302.05543). Every residual has a factor of its own: one `conditioning_scale` for
 * all is the usual, 0.1 to 1 in equal ratios is "guess mode". The controlled form adds its residuals to another
 * ControlNet's, so that several sum on the device.
 */

import { silu } from '../graph/ops/activation'
import { add } from '../graph/ops/add'
import { mul } from '../graph/ops/mul'
import { chunk } from '../graph/ops/slice'
import { input, type Value } from '../graph/value'
import { jsonFields } from '../weights/jsonFields'
import { convLayer, pointwiseLayer } from './blocks/layers'
import { rootScope, type Scope } from './blocks/scope'
import { type UNetEncoderConfig, unetEncoderConfig } from './blocks/unetConfig'
import { residualAxes, type UNetContext, unetDown, unetMid } from './blocks/unetEncoder'
import { sampleInput, textInput, timeInput, unetPorts } from './blocks/unetInputs'
import { downResidualName, MID_RESIDUAL_NAME, residualInput, residualPorts } from './blocks/unetResiduals'
import { type ModelDefinition, type ModelPorts, modelGraph, type OutputPort, type Place } from './model'
import { sizeOf } from './sizes'

interface ControlNetConfig extends UNetEncoderConfig {
  readonly hintChannels: number
  /** Channels of the hint's embedding; the first is at the picture's size, each further one at half. */
  readonly hintWidths: readonly number[]
}

function parse(config: unknown, at: Place): ControlNetConfig {
  const fields = jsonFields(config, at.configFile ?? at.component)
  const parsed: ControlNetConfig = {
    ...unetEncoderConfig(fields, config),
    hintChannels: fields.integer('conditioning_channels', { default: 3, min: 1 }),
    hintWidths: fields.integers('conditioning_embedding_out_channels', { default: [16, 32, 96, 256], min: 1 }),
  }
  fields.only('controlnet_conditioning_channel_order', 'rgb')
  fields.only('global_pool_conditions', false)
  fields.end()
  return parsed
}

/** Pixels of the hint per cell of the latent. */
const hintFactor = (c: ControlNetConfig): number => 2 ** (c.hintWidths.length - 1)

const downOutput = (index: number): string => `down_block_res_samples.${index}`
const MID_OUTPUT = 'mid_block_res_sample'

function portsOf(c: ControlNetConfig): ModelPorts {
  const times = hintFactor(c)
  const { down } = residualAxes(c)
  return {
    inputs: [
      ...unetPorts(c),
      {
        kind: 'picture',
        name: 'controlnet_cond',
        input: 'controlnet_cond',
        axes: [c.hintChannels, { of: 'height', times }, { of: 'width', times }],
      },
      { kind: 'factors', name: 'conditioning_scale', input: 'conditioning_scale', axes: [down.length + 1] },
      ...residualPorts(c),
    ],
    outputs: [...down.map((_, index) => downOutput(index)), MID_OUTPUT].map(
      (name): OutputPort => ({ kind: 'picture', name, output: name }),
    ),
    smallest: { height: 1, width: 1, textLength: 1 },
  }
}

/** Residuals for a UNet of the same levels. */
export const controlNetModel: ModelDefinition = {
  className: 'ControlNetModel',
  renames: () => [],
  ports: (config, at) => portsOf(parse(config, at)),
  build(config, at, sizes, outputs, form = 'plain') {
    const c = parse(config, at)
    const root = rootScope(at.scope)
    const context: UNetContext = { config: c, time: timeInput(root, c, null), text: textInput(c, at, sizes) }
    const first = c.levels[0]?.channels ?? 0
    const latent = convLayer(root.child('conv_in'), sampleInput(c, at, sizes), first, { kernel: 3, padding: 1 })
    const times = hintFactor(c)
    const picture = input('controlnet_cond', 'image', {
      shape: [sizeOf(sizes, 'height', at) * times, sizeOf(sizes, 'width', at) * times, c.hintChannels],
      dtype: 'f32',
      axes: ['H', 'W', 'C'],
    })
    const hint = embedHint(root.child('controlnet_cond_embedding'), c, picture, first) // [h, w, C]
    const down = unetDown(root, c, add('controlnet_cond', latent, hint), context)
    const mid = unetMid(root, c, down.at(-1) ?? latent, context)

    const count = down.length + 1
    const scales = input('conditioning_scale', 'step', { shape: [count], dtype: 'f32', axes: ['_'] })
    const factors = chunk('conditioning_scale', scales, count)
    const residual = (scope: Scope, x: Value, index: number, earlier: string): Value => {
      const factor = factors[index]
      if (!factor) throw new RangeError('every residual has a factor')
      const own = mul(scope.path, pointwiseLayer(scope, x, x.shape.at(-1) ?? 0), factor)
      return form === 'controlled' ? add(scope.path, own, residualInput(earlier, own)) : own
    }
    const made: Record<string, Value> = {}
    down.forEach((x, index) => {
      const scope = root.child('controlnet_down_blocks').child(index)
      made[downOutput(index)] = residual(scope, x, index, downResidualName(index))
    })
    made[MID_OUTPUT] = residual(root.child('controlnet_mid_block'), mid, down.length, MID_RESIDUAL_NAME)
    return modelGraph(at.component, portsOf(c), made, outputs)
  },
}

/**
 * The picture as something to add to the latent's first layer; it depends on nothing else.
 *
 * @param x - values in [0, 1], shape [8 h, 8 w, C].
 * @returns shape [h, w, out].
 */
function embedHint(scope: Scope, { hintWidths }: ControlNetConfig, x: Value, out: number): Value {
  const conv = (name: Scope, width: number, stride: number): void => {
    x = silu(name.path, convLayer(name, x, width, { kernel: 3, padding: 1, stride }))
  }
  conv(scope.child('conv_in'), hintWidths[0] ?? 0, 1)
  hintWidths.slice(1).forEach((width, index) => {
    conv(scope.child('blocks').child(2 * index), hintWidths[index] ?? 0, 1)
    conv(scope.child('blocks').child(2 * index + 1), width, 2)
  })
  return convLayer(scope.child('conv_out'), x, out, { kernel: 3, padding: 1 })
}
