/** One adapted layer of a LoRA file, and which layer of a model its key means. */

import type { TensorEntry } from '../checkpoint'

export interface LoraLayer {
  /** What stands before the factor's name, `lora_unet_mid_block_attentions_0_proj_in`. */
  readonly key: string
  /** The component it is for, by the key's beginning. */
  readonly component: string
  /** The layer's path in the component with every dot an underscore, so that all namings look alike. */
  readonly path: string
  readonly up: TensorEntry
  readonly down: TensorEntry
  /** The middle factor of a convolution in three. */
  readonly mid?: TensorEntry
  /** Left out where it is the rank. */
  readonly alpha?: number
}

/** Beginnings of kohya's keys. */
const KOHYA: Readonly<Record<string, string>> = {
  lora_unet_: 'unet',
  lora_te1_: 'text_encoder',
  lora_te2_: 'text_encoder_2',
  lora_te_: 'text_encoder',
}

/** The component and the path that a key means. */
export function layerPlace(key: string): Pick<LoraLayer, 'component' | 'path'> {
  for (const [prefix, component] of Object.entries(KOHYA)) {
    if (key.startsWith(prefix)) return { component, path: key.slice(prefix.length).replaceAll('.', '_') }
  }
  const bare = key.replace(/^base_model\.model\./, '')
  const named = /^(unet|text_encoder_2|text_encoder)\./.exec(bare)
  const path = (named ? bare.slice(named[0].length) : bare)
    // The attention processors of early diffusers: attn1.processor.to_q_lora, self_attn.to_q_lora in text encoders.
    .replace('.processor.', '.')
    .replace(/\bself_attn\.to_(q|k|v)$/, 'self_attn.$1_proj')
    .replace(/\bself_attn\.to_out$/, 'self_attn.out_proj')
    .replace(/\bto_out$/, 'to_out.0')
    .replaceAll('.', '_')
  return { component: named?.[1] ?? 'unet', path }
}
