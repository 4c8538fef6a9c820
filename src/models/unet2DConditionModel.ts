/**
 * The UNet of Stable Diffusion 1, 2 and XL, as diffusers' `UNet2DConditionModel` computes it.
 *
 * Rombach et al. 2022 (arXiv:2112.10752), section 3.3; Podell et al. 2023 (arXiv:2307.01952) for pooled text and sizes;
 * Luo et al. 2023 (arXiv:2310.04378), section 4.2, for the embedded guidance scale. The controlled form adds the
 * residuals of a ControlNet (arXiv:2302.05543) to what the way down leaves for the way up, and to the middle.
 */

import { add } from '../graph/ops/add'
import { concat } from '../graph/ops/concat'
import type { Value } from '../graph/value'
import { type JsonFields, jsonFields, jsonObject } from '../weights/jsonFields'
import { blockTypes } from './blocks/blockTypes'
import { convLayer } from './blocks/layers'
import { normSilu, upsampleConv } from './blocks/resnetBlock'
import { rootScope, type Scope } from './blocks/scope'
import { transformerDepths, type UNetEncoderConfig, type UNetLevel, unetEncoderConfig } from './blocks/unetConfig'
import { type UNetContext, unetDown, unetLayer, unetMid } from './blocks/unetEncoder'
import { sampleInput, textInput, timeInput, unetPorts } from './blocks/unetInputs'
import { downResidualName, MID_RESIDUAL_NAME, residualInput, residualPorts } from './blocks/unetResiduals'
import { type ModelDefinition, type ModelPorts, modelGraph, type Place } from './model'

/** A level on the way up. */
interface UpLevel extends Pick<UNetLevel, 'channels' | 'heads'> {
  /** Transformer blocks behind each residual block; one layer more than on the way down. */
  readonly up: readonly (number | undefined)[]
}

interface UNetConfig extends UNetEncoderConfig {
  readonly outChannels: number
  /** The smallest resolution first. */
  readonly upLevels: readonly UpLevel[]
  /** Width of an embedded guidance scale; `null` for none. */
  readonly guidanceWidth: number | null
}

const UP_TYPES = ['UpBlock2D', 'CrossAttnUpBlock2D'] as const

function parse(config: unknown, at: Place): UNetConfig {
  const fields = jsonFields(config, at.configFile ?? at.component)
  const encoder = unetEncoderConfig(fields, config)
  const reversed = encoder.levels.toReversed()
  const usual = reversed.map((_, level) => (level === 0 ? 'UpBlock2D' : 'CrossAttnUpBlock2D'))
  const types = blockTypes(fields, config, 'up_block_types', UP_TYPES, usual)
  const depths = upDepths(
    fields,
    config,
    reversed.map(({ down }) => down.length + 1),
  )
  const parsed: UNetConfig = {
    ...encoder,
    outChannels: fields.integer('out_channels', { default: 4, min: 1 }),
    upLevels: reversed.map(({ channels, heads }, level) => {
      const attends = types[level] === 'CrossAttnUpBlock2D'
      return { channels, heads, up: (depths[level] ?? []).map((depth) => (attends ? depth : undefined)) }
    }),
    guidanceWidth: fields.integerOrNull('time_cond_proj_dim', { default: null, min: 1 }),
    timeWidth: fields.integerOrNull('time_embedding_dim', { default: null, min: 1 }) ?? encoder.timeWidth,
  }
  fields.only('num_attention_heads', null)
  fields.only('center_input_sample', false)
  fields.only('dual_cross_attention', false)
  fields.only('resnet_skip_time_act', false)
  fields.only('resnet_out_scale_factor', 1)
  fields.only('time_embedding_type', 'positional')
  fields.only('time_embedding_act_fn', null)
  fields.only('timestep_post_act', null)
  fields.only('conv_in_kernel', 3)
  fields.only('conv_out_kernel', 3)
  fields.only('attention_type', 'default')
  fields.only('class_embeddings_concat', false)
  fields.only('mid_block_only_cross_attention', null, false)
  fields.only('cross_attention_norm', null)
  fields.end()
  return parsed
}

/** Transformer blocks on the way up: those of the way down reversed, unless they are named. */
function upDepths(fields: JsonFields, config: unknown, layers: readonly number[]): readonly (readonly number[])[] {
  const object = jsonObject(config, fields.where)
  const name = 'reverse_transformer_layers_per_block'
  const named = object[name] ?? null
  if (named !== null) return transformerDepths(fields, name, named, layers)
  fields.inert(name)
  const down = object.transformer_layers_per_block
  if (!Array.isArray(down)) return transformerDepths(fields, 'transformer_layers_per_block', down, layers)
  if (down.some(Array.isArray)) fields.fail(name, 'the way up, where transformer_layers_per_block has lists in it')
  return transformerDepths(fields, 'transformer_layers_per_block', down.toReversed(), layers)
}

function portsOf(c: UNetConfig): ModelPorts {
  const { guidanceWidth } = c
  return {
    inputs: [
      ...unetPorts(c),
      ...(guidanceWidth === null
        ? []
        : [{ kind: 'numbers' as const, name: 'timestep_cond', input: 'timestep_cond', axes: [guidanceWidth] }]),
      ...residualPorts(c),
    ],
    outputs: [{ kind: 'picture', name: 'sample', output: 'sample' }],
    smallest: { height: 1, width: 1, textLength: 1 },
  }
}

/** The denoiser of latent diffusion with text. */
export const unet2DConditionModel: ModelDefinition = {
  className: 'UNet2DConditionModel',
  renames: () => [],
  ports: (config, at) => portsOf(parse(config, at)),
  build(config, at, sizes, outputs, form = 'plain') {
    const c = parse(config, at)
    const root = rootScope(at.scope)
    const context: UNetContext = {
      config: c,
      time: timeInput(root, c, c.guidanceWidth),
      text: textInput(c, at, sizes),
    }
    const first = c.levels[0]?.channels ?? 0
    const latent = convLayer(root.child('conv_in'), sampleInput(c, at, sizes), first, { kernel: 3, padding: 1 })
    let residuals = unetDown(root, c, latent, context)
    let x = unetMid(root, c, residuals.at(-1) ?? latent, context)
    if (form === 'controlled') {
      residuals = residuals.map((value, index) => {
        const name = downResidualName(index)
        return add(name, value, residualInput(name, value))
      })
      x = add(MID_RESIDUAL_NAME, x, residualInput(MID_RESIDUAL_NAME, x))
    }
    x = unetUp(root, c, x, residuals, context)
    x = normSilu(root.child('conv_norm_out'), x, c)
    const sample = convLayer(root.child('conv_out'), x, c.outChannels, { kernel: 3, padding: 1 })
    return modelGraph(at.component, portsOf(c), { sample }, outputs)
  },
}

/**
 * Levels of layers that each read one residual of the way down, the last first; each level but the last enlarges.
 *
 * @param x - shape [h', w', C'] of the lowest level.
 * @returns shape [h, w, C] of the latent and the first level.
 */
function unetUp(root: Scope, c: UNetConfig, x: Value, residuals: readonly Value[], context: UNetContext): Value {
  const left = [...residuals]
  c.upLevels.forEach((level, index) => {
    const scope = root.child('up_blocks').child(index)
    level.up.forEach((blocks, layer) => {
      const residual = left.pop()
      if (!residual) throw new RangeError('every layer on the way up has a residual')
      x = unetLayer(scope, layer, concat(scope.path, [x, residual], -1), level, blocks, context)
    })
    // Sizes that were odd on the way down: to the size of the next residual, not twice this one.
    const [height, width] = left.at(-1)?.shape ?? []
    if (height !== undefined && width !== undefined)
      x = upsampleConv(scope.child('upsamplers').child(0), x, [height, width])
  })
  return x
}
