/** Autoencoders in the naming of CompVis/latent-diffusion, told by their tensors alone. */

import type { TensorEntry } from '../checkpoint'
import type { JsonObject } from '../jsonFields'
import { countWhile, type HasTensor, type ModuleNames, within } from './modules'
import type { Shapes } from './unet'

const RESNET = { norm1: 'norm1', conv1: 'conv1', norm2: 'norm2', conv2: 'conv2', nin_shortcut: 'conv_shortcut' }

const ATTENTION = { norm: 'group_norm', q: 'to_q', k: 'to_k', v: 'to_v', proj_out: 'to_out.0' }

/** Of one half: what is the same whatever its levels. */
function ends(half: 'encoder' | 'decoder'): ModuleNames[] {
  return [
    { original: `${half}.conv_in`, diffusers: `${half}.conv_in` },
    ...within(`${half}.mid.block_1`, `${half}.mid_block.resnets.0`, RESNET),
    ...within(`${half}.mid.attn_1`, `${half}.mid_block.attentions.0`, ATTENTION),
    ...within(`${half}.mid.block_2`, `${half}.mid_block.resnets.1`, RESNET),
    { original: `${half}.norm_out`, diffusers: `${half}.conv_norm_out` },
    { original: `${half}.conv_out`, diffusers: `${half}.conv_out` },
  ]
}

/** The modules of an autoencoder, or of the half that is there. The decoder's levels count from the picture inwards. */
export function vaeModules(has: HasTensor): ModuleNames[] {
  const modules: ModuleNames[] = [
    ...ends('encoder'),
    ...ends('decoder'),
    { original: 'quant_conv', diffusers: 'quant_conv' },
    { original: 'post_quant_conv', diffusers: 'post_quant_conv' },
  ]
  const level = (original: string, diffusers: string) => {
    const layers = countWhile((layer) => has(`${original}.block.${layer}.conv1.weight`))
    for (let layer = 0; layer < layers; layer += 1) {
      modules.push(...within(`${original}.block.${layer}`, `${diffusers}.resnets.${layer}`, RESNET))
    }
  }
  const down = countWhile((index) => has(`encoder.down.${index}.block.0.conv1.weight`))
  for (let index = 0; index < down; index += 1) {
    level(`encoder.down.${index}`, `encoder.down_blocks.${index}`)
    modules.push({
      original: `encoder.down.${index}.downsample.conv`,
      diffusers: `encoder.down_blocks.${index}.downsamplers.0.conv`,
    })
  }
  const up = countWhile((index) => has(`decoder.up.${index}.block.0.conv1.weight`))
  for (let index = 0; index < up; index += 1) {
    const place = `decoder.up_blocks.${up - 1 - index}`
    level(`decoder.up.${index}`, place)
    modules.push({ original: `decoder.up.${index}.upsample.conv`, diffusers: `${place}.upsamplers.0.conv` })
  }
  return modules
}

/** The attention's 1x1 convolutions as the matrices they are. */
export function vaePart(entry: TensorEntry): TensorEntry {
  const { name, shape } = entry
  const [out, channels, height, width] = shape
  const matrix = /\.attentions\.0\.to_(q|k|v|out\.0)\.weight$/.test(name) && height === 1 && width === 1
  return matrix && out !== undefined && channels !== undefined ? { ...entry, shape: [out, channels] } : entry
}

/** How latents of a family are scaled; what the weights of an autoencoder do not tell. */
export interface LatentScaling {
  readonly scaling_factor: number
  readonly force_upcast: boolean
  readonly sample_size: number
}

/**
 * The config of an autoencoder by the shapes of its tensors under diffusers' names.
 *
 * @param scaling - of the model it came with; left out where it came alone, since those of different families have the
 *   same shapes.
 */
export function vaeConfig(shapes: Shapes, scaling: LatentScaling | undefined): JsonObject {
  const size = (name: string, axis: number): number => shapes.get(name)?.[axis] ?? 0
  const count = (blocks: string, layer: number) =>
    countWhile((index) => shapes.has(`${blocks}.${index}.resnets.${layer}.conv1.weight`))
  const levels = Math.max(count('encoder.down_blocks', 0), count('decoder.up_blocks', 0))
  const ofEncoder = countWhile((layer) => shapes.has(`encoder.down_blocks.0.resnets.${layer}.conv1.weight`))
  const ofDecoder = countWhile((layer) => shapes.has(`decoder.up_blocks.0.resnets.${layer}.conv1.weight`))
  const widths = Array.from(
    { length: levels },
    (_, level) =>
      size(`encoder.down_blocks.${level}.resnets.0.conv1.weight`, 0) ||
      size(`decoder.up_blocks.${levels - 1 - level}.resnets.0.conv1.weight`, 0),
  )
  return {
    _class_name: 'AutoencoderKL',
    in_channels: size('encoder.conv_in.weight', 1) || size('decoder.conv_out.weight', 0),
    out_channels: size('decoder.conv_out.weight', 0) || size('encoder.conv_in.weight', 1),
    latent_channels: size('decoder.conv_in.weight', 1) || size('encoder.conv_out.weight', 0) / 2,
    block_out_channels: widths,
    down_block_types: widths.map(() => 'DownEncoderBlock2D'),
    up_block_types: widths.map(() => 'UpDecoderBlock2D'),
    layers_per_block: ofEncoder || ofDecoder - 1,
    use_quant_conv: shapes.has('quant_conv.weight') || !shapes.has('encoder.conv_in.weight'),
    use_post_quant_conv: shapes.has('post_quant_conv.weight') || !shapes.has('decoder.conv_in.weight'),
    ...scaling,
  }
}
