/**
 * UNets and ControlNets in the naming of the code they were trained with (CompVis/latent-diffusion,
 * Stability-AI/generative-models, lllyasviel/ControlNet), told by their tensors alone.
 *
 * There, a network is three lists: `input_blocks` and `output_blocks` count through all levels, whatever a block holds.
 */

import type { Shape } from '../../tensor/shape'
import type { JsonObject } from '../jsonFields'
import { countWhile, type HasTensor, type ModuleNames, within } from './modules'

const RESNET = {
  'in_layers.0': 'norm1',
  'in_layers.2': 'conv1',
  'emb_layers.1': 'time_emb_proj',
  'out_layers.0': 'norm2',
  'out_layers.3': 'conv2',
  skip_connection: 'conv_shortcut',
}

const ENDS: readonly ModuleNames[] = [
  { original: 'input_blocks.0.0', diffusers: 'conv_in' },
  { original: 'time_embed.0', diffusers: 'time_embedding.linear_1' },
  { original: 'time_embed.2', diffusers: 'time_embedding.linear_2' },
  { original: 'time_embed.cond_proj', diffusers: 'time_embedding.cond_proj' },
  ...within('middle_block.0', 'mid_block.resnets.0', RESNET),
  { original: 'middle_block.1', diffusers: 'mid_block.attentions.0' },
  ...within('middle_block.2', 'mid_block.resnets.1', RESNET),
  { original: 'out.0', diffusers: 'conv_norm_out' },
  { original: 'out.2', diffusers: 'conv_out' },
]

/** Of one level of one half: its resnets, which of them an attention follows, and whether it is resampled at its end. */
interface Level {
  readonly attentions: readonly boolean[]
  readonly resampled: boolean
}

interface Levels {
  readonly down: readonly Level[]
  readonly up: readonly Level[]
}

/** The modules of a UNet or ControlNet whose tensors have their original names. */
export function unetModules(has: HasTensor): ModuleNames[] {
  return [...modulesOf(originalLevels(has)), ...labelModules(has), ...controlModules(has)]
}

/** The same table for one whose tensors have diffusers' names: files that name its layers the other way are read by it. */
export function originalUnetModules(has: HasTensor): ModuleNames[] {
  return [...modulesOf(diffusersLevels(has)), ...EMBEDDINGS.add]
}

const EMBEDDINGS = {
  add: within('label_emb.0', 'add_embedding', { 0: 'linear_1', 2: 'linear_2' }),
  class: within('label_emb.0', 'class_embedding', { 0: 'linear_1', 2: 'linear_2' }),
}

/** SDXL's `label_emb` is fed sizes and the pooled text; SD2's, in its unCLIP variant, a class vector. */
function labelModules(has: HasTensor): readonly ModuleNames[] {
  return has('input_blocks.1.1.norm.weight') ? EMBEDDINGS.class : EMBEDDINGS.add
}

function controlModules(has: HasTensor): ModuleNames[] {
  const last = 2 * countWhile((index) => has(`input_hint_block.${2 * index}.weight`)) - 2
  if (last < 2) return []
  const hint = 'controlnet_cond_embedding'
  return [
    { original: 'input_hint_block.0', diffusers: `${hint}.conv_in` },
    ...Array.from({ length: last / 2 - 1 }, (_, index) => ({
      original: `input_hint_block.${2 * index + 2}`,
      diffusers: `${hint}.blocks.${index}`,
    })),
    { original: `input_hint_block.${last}`, diffusers: `${hint}.conv_out` },
    ...Array.from({ length: countWhile((index) => has(`zero_convs.${index}.0.weight`)) }, (_, index) => ({
      original: `zero_convs.${index}.0`,
      diffusers: `controlnet_down_blocks.${index}`,
    })),
    { original: 'middle_block_out.0', diffusers: 'controlnet_mid_block' },
  ]
}

function modulesOf({ down, up }: Levels): ModuleNames[] {
  const modules = [...ENDS]
  let block = 1
  for (const [level, { attentions, resampled }] of down.entries()) {
    for (const [layer, attention] of attentions.entries()) {
      modules.push(...layerModules(`input_blocks.${block}`, `down_blocks.${level}`, layer, attention))
      block += 1
    }
    if (!resampled) continue
    modules.push({ original: `input_blocks.${block}.0.op`, diffusers: `down_blocks.${level}.downsamplers.0.conv` })
    block += 1
  }
  block = 0
  for (const [level, { attentions, resampled }] of up.entries()) {
    for (const [layer, attention] of attentions.entries()) {
      modules.push(...layerModules(`output_blocks.${block}`, `up_blocks.${level}`, layer, attention))
      block += 1
    }
    if (!resampled) continue
    // The last block of a level has it beside its resnet and its attention, if there is one.
    const place = attentions.at(-1) ? 2 : 1
    modules.push({
      original: `output_blocks.${block - 1}.${place}.conv`,
      diffusers: `up_blocks.${level}.upsamplers.0.conv`,
    })
  }
  return modules
}

function layerModules(original: string, diffusers: string, layer: number, attention: boolean): ModuleNames[] {
  const resnet = within(`${original}.0`, `${diffusers}.resnets.${layer}`, RESNET)
  return attention ? [...resnet, { original: `${original}.1`, diffusers: `${diffusers}.attentions.${layer}` }] : resnet
}

function originalLevels(has: HasTensor): Levels {
  const down: Level[] = []
  const up: Level[] = []
  let attentions: boolean[] = []
  const end = (levels: Level[], resampled: boolean) => {
    levels.push({ attentions, resampled })
    attentions = []
  }
  for (let block = 1; ; block += 1) {
    const at = `input_blocks.${block}`
    if (has(`${at}.0.op.weight`)) end(down, true)
    else if (has(`${at}.0.in_layers.2.weight`)) attentions.push(has(`${at}.1.norm.weight`))
    else break
  }
  if (attentions.length > 0) end(down, false)
  for (let block = 0; has(`output_blocks.${block}.0.in_layers.2.weight`); block += 1) {
    const at = `output_blocks.${block}`
    attentions.push(has(`${at}.1.norm.weight`))
    if (has(`${at}.1.conv.weight`) || has(`${at}.2.conv.weight`)) end(up, true)
  }
  if (attentions.length > 0) end(up, false)
  return { down, up }
}

function diffusersLevels(has: HasTensor): Levels {
  const half = (blocks: string, resampler: string): Level[] =>
    Array.from({ length: countWhile((level) => has(`${blocks}.${level}.resnets.0.conv1.weight`)) }, (_, level) => {
      const at = `${blocks}.${level}`
      const layers = countWhile((layer) => has(`${at}.resnets.${layer}.conv1.weight`))
      return {
        attentions: Array.from({ length: layers }, (_, layer) => has(`${at}.attentions.${layer}.norm.weight`)),
        resampled: has(`${at}.${resampler}.0.conv.weight`),
      }
    })
  return { down: half('down_blocks', 'downsamplers'), up: half('up_blocks', 'upsamplers') }
}

/** Tensors of a network by diffusers' names. */
export type Shapes = ReadonlyMap<string, Shape>

/** Width of a head where the number of heads follows the width: SD2, SDXL. */
const HEAD_WIDTH = 64
/** Heads at every width: SD1, whose `attention_head_dim` is a misnomer in diffusers. */
const HEADS = 8

/** What UNets and ControlNets have in common. Heads leave no trace in the shapes: they are those of the published models. */
function encoderConfig(shapes: Shapes): Record<string, unknown> {
  const size = (name: string, axis: number): number => shapes.get(name)?.[axis] ?? 0
  const levels = diffusersLevels((name) => shapes.has(name)).down
  const widths = levels.map((_, level) => size(`down_blocks.${level}.resnets.0.conv1.weight`, 0))
  const depth = (at: string) => countWhile((k) => shapes.has(`${at}.attentions.0.transformer_blocks.${k}.norm1.weight`))
  const middle = depth('mid_block')
  const depths = levels.map((_, level) => depth(`down_blocks.${level}`))
  const [common, ...others] = new Set([...depths, middle].filter((one) => one > 0))
  // The middle block goes by the last level's; of other levels without attention nothing reads it.
  const filled = depths.map((one, level) => one || (level === levels.length - 1 ? middle : 0) || 1)
  const projection = [...shapes].find(([name]) => name.endsWith('.proj_in.weight'))?.[1]
  const linear = projection?.length === 2
  const crossed = [...shapes].find(([name]) => name.endsWith('.attn2.to_k.weight'))?.[1]
  const sizeConditions = size('add_embedding.linear_1.weight', 1)
  const classWidth = size('class_embedding.linear_1.weight', 1)
  return {
    in_channels: size('conv_in.weight', 1),
    block_out_channels: widths,
    layers_per_block: levels[0]?.attentions.length ?? 0,
    down_block_types: levels.map(({ attentions }) => (attentions[0] ? 'CrossAttnDownBlock2D' : 'DownBlock2D')),
    cross_attention_dim: crossed?.[1] ?? 0,
    transformer_layers_per_block: others.length > 0 ? filled : (common ?? 1),
    use_linear_projection: linear,
    attention_head_dim: linear ? widths.map((width) => Math.max(Math.floor(width / HEAD_WIDTH), 1)) : HEADS,
    ...(sizeConditions > 0
      ? {
          addition_embed_type: 'text_time',
          addition_time_embed_dim: 256,
          projection_class_embeddings_input_dim: sizeConditions,
        }
      : {}),
    ...(classWidth > 0 ? { class_embed_type: 'projection', projection_class_embeddings_input_dim: classWidth } : {}),
  }
}

/** The config of a UNet by the shapes of its tensors under diffusers' names. */
export function unetConfig(shapes: Shapes, sampleSize: number): JsonObject {
  const { up } = diffusersLevels((name) => shapes.has(name))
  const conditioned = shapes.get('time_embedding.cond_proj.weight')
  return {
    _class_name: 'UNet2DConditionModel',
    ...encoderConfig(shapes),
    sample_size: sampleSize,
    out_channels: shapes.get('conv_out.weight')?.[0] ?? 0,
    up_block_types: up.map(({ attentions }) => (attentions[0] ? 'CrossAttnUpBlock2D' : 'UpBlock2D')),
    ...(conditioned ? { time_cond_proj_dim: conditioned[1] } : {}),
  }
}

/** The config of a ControlNet by the shapes of its tensors under diffusers' names. */
export function controlnetConfig(shapes: Shapes): JsonObject {
  const hint = 'controlnet_cond_embedding'
  const first = shapes.get(`${hint}.conv_in.weight`) ?? []
  const blocks = countWhile((index) => shapes.has(`${hint}.blocks.${index}.weight`))
  const wider = Array.from(
    { length: blocks / 2 },
    (_, index) => shapes.get(`${hint}.blocks.${2 * index + 1}.weight`)?.[0],
  )
  return {
    _class_name: 'ControlNetModel',
    ...encoderConfig(shapes),
    conditioning_channels: first[1] ?? 0,
    conditioning_embedding_out_channels: [first[0] ?? 0, ...wider],
  }
}
