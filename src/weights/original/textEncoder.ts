/**
 * CLIP's text encoders inside single files: transformers' naming (CLIP-L) and OpenCLIP's (ViT-H, bigG), which keeps q, k
 * and v as one matrix and the projection transposed.
 */

import { DTYPE_BYTES } from '../../tensor/dtype'
import { isRead, type TensorEntry } from '../checkpoint'
import type { JsonObject } from '../jsonFields'
import { countWhile, diffusersName, type ModuleNames, within } from './modules'
import type { Shapes } from './unet'

const LAYER = {
  ln_1: 'layer_norm1',
  ln_2: 'layer_norm2',
  'attn.out_proj': 'self_attn.out_proj',
  'mlp.c_fc': 'mlp.fc1',
  'mlp.c_proj': 'mlp.fc2',
}

/** Tensors that are no module's `weight` or `bias`. */
const WHOLE: Readonly<Record<string, string>> = {
  positional_embedding: 'text_model.embeddings.position_embedding.weight',
}

/** How an OpenCLIP encoder is read. */
export interface OpenClipUse {
  /** Layers from here on are left out: SD2 stops before the last. */
  readonly layers: number
  readonly projection: boolean
}

/** What a tensor of OpenCLIP holds, under transformers' names; nothing for those that are not read. */
export function openClipParts({ layers, projection }: OpenClipUse): (entry: TensorEntry) => TensorEntry[] {
  const modules: ModuleNames[] = [
    { original: 'token_embedding', diffusers: 'text_model.embeddings.token_embedding' },
    { original: 'ln_final', diffusers: 'text_model.final_layer_norm' },
    ...Array.from({ length: layers }, (_, layer) =>
      within(`transformer.resblocks.${layer}`, `text_model.encoder.layers.${layer}`, LAYER),
    ).flat(),
  ]
  const nameOf = diffusersName(modules)
  return (entry) => {
    if (entry.name === 'text_projection') return projection ? [transposed(entry, 'text_projection.weight')] : []
    const joined = /^transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)$/.exec(entry.name)
    if (joined) {
      const [, layer, kind] = joined
      return Number(layer) < layers ? thirds(entry, `text_model.encoder.layers.${layer}.self_attn`, `${kind}`) : []
    }
    const name = WHOLE[entry.name] ?? nameOf(entry.name)
    return name === undefined ? [] : [{ ...entry, name }]
  }
}

/** x @ text_projection of OpenCLIP is a linear layer with the transpose. */
function transposed(entry: TensorEntry, name: string): TensorEntry {
  return { ...entry, name, shape: entry.shape.toReversed(), transposed: true }
}

/** `[3 D, ...]` as q, k and v: stretches of the same bytes. */
function thirds(entry: TensorEntry, at: string, kind: string): TensorEntry[] {
  const [rows = 0, ...rest] = entry.shape
  const size = rows / 3
  const bytes = (entry.end - entry.begin) / 3
  // Types that nothing reads may not even be whole bytes; they are refused by name when they are asked for.
  const divisible = Number.isInteger(size) && (!isRead(entry.dtype) || bytes % DTYPE_BYTES[entry.dtype] === 0)
  if (!divisible) return [{ ...entry, name: `${at}.q_proj.${kind}` }]
  return ['q_proj', 'k_proj', 'v_proj'].map((projection, index) => ({
    ...entry,
    name: `${at}.${projection}.${kind}`,
    shape: [size, ...rest],
    begin: entry.begin + index * bytes,
    end: entry.begin + (index + 1) * bytes,
  }))
}

/** Number of layers of an OpenCLIP encoder. */
export function openClipLayers(has: (name: string) => boolean): number {
  return countWhile((layer) => has(`transformer.resblocks.${layer}.ln_1.weight`))
}

/** Width of a head in every published CLIP text encoder. */
const HEAD_WIDTH = 64

/**
 * The config of a text encoder by the shapes of its tensors under transformers' names.
 *
 * @param activation - `quick_gelu` for OpenAI's weights, `gelu` for OpenCLIP's.
 */
export function textEncoderConfig(shapes: Shapes, activation: 'quick_gelu' | 'gelu'): JsonObject {
  const size = (name: string, axis: number): number => shapes.get(`text_model.${name}`)?.[axis] ?? 0
  const width = size('embeddings.token_embedding.weight', 1)
  const projection = shapes.get('text_projection.weight')
  return {
    architectures: [projection ? 'CLIPTextModelWithProjection' : 'CLIPTextModel'],
    model_type: 'clip_text_model',
    vocab_size: size('embeddings.token_embedding.weight', 0),
    max_position_embeddings: size('embeddings.position_embedding.weight', 0),
    hidden_size: width,
    intermediate_size: size('encoder.layers.0.mlp.fc1.weight', 0),
    num_hidden_layers: countWhile((layer) => shapes.has(`text_model.encoder.layers.${layer}.layer_norm1.weight`)),
    num_attention_heads: Math.max(Math.floor(width / HEAD_WIDTH), 1),
    hidden_act: activation,
    layer_norm_eps: 1e-5,
    eos_token_id: 49407,
    projection_dim: projection?.[0] ?? width,
  }
}
