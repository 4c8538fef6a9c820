/** The config fields that UNets and ControlNets of Stable Diffusion share. */

import { type JsonFields, type JsonObject, jsonObject } from '../../weights/jsonFields'
import { blockTypes } from './blockTypes'

/** One resolution of a UNet. */
export interface UNetLevel {
  readonly channels: number
  readonly heads: number
  /** Transformer blocks behind each residual block on the way down; none where the level has no attention. */
  readonly down: readonly (number | undefined)[]
}

/** What text and size conditions a network takes beside the timestep, as SDXL's do. */
export interface AddedConditions {
  /** Width of the pooled text. */
  readonly textWidth: number
  /** Numbers embedded beside it: sizes and crop. */
  readonly ids: number
  /** Sinusoids per number. */
  readonly idChannels: number
}

/** The half of a UNet that a ControlNet copies: everything up to the middle block. */
export interface UNetEncoderConfig {
  readonly inChannels: number
  readonly levels: readonly UNetLevel[]
  /** Transformer blocks in the middle block. */
  readonly midBlocks: number
  readonly groups: number
  readonly eps: number
  readonly crossWidth: number
  /** The projections around a transformer are linear layers, not 1 x 1 convolutions. */
  readonly linearProjection: boolean
  readonly timeWidth: number
  /** cos before sin. */
  readonly flip: boolean
  readonly freqShift: number
  readonly added: AddedConditions | null
}

/** Transformer blocks of each level. */
const DEPTHS = 'transformer_layers_per_block'

const DOWN_TYPES = ['CrossAttnDownBlock2D', 'DownBlock2D'] as const
const USUAL_DOWN = ['CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D', 'DownBlock2D'] as const
const USUAL_CHANNELS = [320, 640, 1280, 1280] as const

/** Reads the shared fields; the caller reads its own and calls `end`. */
export function unetEncoderConfig(fields: JsonFields, config: unknown): UNetEncoderConfig {
  const object = jsonObject(config, fields.where)
  const channels = fields.integers('block_out_channels', { default: USUAL_CHANNELS, min: 1 })
  const count = channels.length
  const usual = channels.map((_, level) => USUAL_DOWN[level] ?? 'DownBlock2D')
  const types = blockTypes(fields, config, 'down_block_types', DOWN_TYPES, usual)
  const layers = perLevel(fields, object, 'layers_per_block', count, 2)
  const depths = transformerDepths(fields, DEPTHS, object[DEPTHS], layers)
  // The field for the size of a head has always held the number of heads; only ControlNets know the other name.
  const named = (object.num_attention_heads ?? null) !== null
  const [asHeads, other] = named
    ? (['num_attention_heads', 'attention_head_dim'] as const)
    : (['attention_head_dim', 'num_attention_heads'] as const)
  const heads = perLevel(fields, object, asHeads, count, 8)
  fields.inert(other)
  const groups = fields.integer('norm_num_groups', { default: 32, min: 1 })
  if (channels.some((width) => width % groups !== 0))
    fields.fail('norm_num_groups', `a divisor of block_out_channels ${channels.join(', ')}`, groups)
  const levels = channels.map((width, level): UNetLevel => {
    const attends = types[level] === 'CrossAttnDownBlock2D'
    const of = heads[level] ?? 1
    if (width % of !== 0) fields.fail(asHeads, `a divisor of block_out_channels ${width}`, of)
    const down = Array.from({ length: layers[level] ?? 0 }, (_, i) => (attends ? depths[level]?.[i] : undefined))
    return { channels: width, heads: of, down }
  })
  if ((channels[0] ?? 0) % 2 !== 0) fields.fail('block_out_channels', 'an even first number', channels[0])
  refuseVariants(fields)
  return {
    inChannels: fields.integer('in_channels', { default: 4, min: 1 }),
    levels,
    midBlocks: depths.at(-1)?.[0] ?? 1,
    groups,
    eps: fields.number('norm_eps', { default: 1e-5, min: 0 }),
    crossWidth: fields.integer('cross_attention_dim', { default: 1280, min: 1 }),
    linearProjection: fields.boolean('use_linear_projection', false),
    timeWidth: 4 * (channels[0] ?? 0),
    flip: fields.boolean('flip_sin_to_cos', true),
    freqShift: fields.number('freq_shift', { default: 0 }),
    added: addedConditions(fields, object),
  }
}

/** Fields whose other values make other networks, and those that change nothing. */
function refuseVariants(fields: JsonFields): void {
  fields.only('mid_block_type', 'UNetMidBlock2DCrossAttn')
  fields.only('act_fn', 'silu', 'swish')
  fields.only('downsample_padding', 1)
  fields.only('mid_block_scale_factor', 1)
  fields.only('only_cross_attention', false)
  fields.only('resnet_time_scale_shift', 'default')
  fields.only('class_embed_type', null)
  fields.only('num_class_embeds', null)
  fields.only('encoder_hid_dim', null)
  fields.only('encoder_hid_dim_type', null)
  // Softmax always runs in float32 here, which is all that upcast_attention asks for.
  fields.boolean('upcast_attention', false)
  // Training only; the trained size, for pipelines; and the heads of a kind of condition that is refused.
  fields.inert('dropout', 'sample_size', 'addition_embed_type_num_heads')
}

/** SDXL's pooled text and sizes: `text_time`. */
function addedConditions(fields: JsonFields, object: JsonObject): AddedConditions | null {
  fields.only('addition_embed_type', null, 'text_time')
  if (object.addition_embed_type !== 'text_time') {
    fields.only('addition_time_embed_dim', null)
    fields.only('projection_class_embeddings_input_dim', null)
    return null
  }
  const idChannels = fields.integer('addition_time_embed_dim', { min: 2 })
  const width = fields.integer('projection_class_embeddings_input_dim', { min: 1 })
  if (idChannels % 2 !== 0) fields.fail('addition_time_embed_dim', 'an even number', idChannels)
  // The config says how wide text and numbers are together only. The refiner reads five numbers beside the same text.
  const ids = width - 5 * idChannels === 1280 ? 5 : 6
  const textWidth = width - ids * idChannels
  if (textWidth < 1)
    fields.fail('projection_class_embeddings_input_dim', `more than ${ids} times addition_time_embed_dim`, width)
  return { textWidth, ids, idChannels }
}

/** A field that holds one number for all levels or a list with one for each. */
function perLevel(
  fields: JsonFields,
  object: JsonObject,
  name: string,
  count: number,
  fallback: number,
): readonly number[] {
  if (!Array.isArray(object[name])) {
    return Array(count).fill(fields.integer(name, { default: fallback, min: 1 }))
  }
  const list = fields.integers(name, { min: 1 })
  return list.length === count ? list : fields.fail(name, `one number or ${count}, as many as block_out_channels`)
}

/**
 * How many transformer blocks stand behind each residual block: one number for all levels, or a list with a number or a
 * list per level.
 *
 * @param given - the field's value.
 * @param layers - residual blocks of each level.
 */
export function transformerDepths(
  fields: JsonFields,
  name: string,
  given: unknown,
  layers: readonly number[],
): readonly (readonly number[])[] {
  fields.inert(name)
  const whole = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) > 0
  const levels: readonly unknown[] = Array.isArray(given) ? given : layers.map(() => given ?? 1)
  if (levels.length !== layers.length)
    return fields.fail(name, `one number or ${layers.length}, as many as block_out_channels`)
  return layers.map((count, level) => {
    const of = levels[level]
    if (whole(of)) return Array(count).fill(of)
    if (Array.isArray(of) && of.length === count && of.every(whole)) return of
    return fields.fail(name, `for each level a number of at least 1, or a list of ${count}`, of)
  })
}
