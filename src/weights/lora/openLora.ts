/**
 * LoRA files: small factors whose products are added to weights of a model, in the namings of kohya, diffusers and PEFT.
 *
 * Hu et al. 2021 (arXiv:2106.09685): W + alpha / r · up · down.
 */

import { EngineError } from '../../errors'
import { formatShape } from '../../tensor/shape'
import { toFloat32 } from '../../tensor/widen'
import { openCheckpoint, type ReadIndex, someOf, type TensorEntry } from '../checkpoint'
import { readTensor } from '../readTensors'
import { type LoraLayer, layerPlace } from './layer'
import { withMetadata } from './metadata'

/** A LoRA file; nothing is read of it but its header and its alphas. */
export interface Lora {
  readonly file: string
  readonly identity: string
  readonly layers: readonly LoraLayer[]
  /** Tensors that are no factor of a layer, sorted. */
  readonly unused: readonly string[]
}

/** Ends of a factor's name in the three namings. */
const FACTORS: readonly { readonly end: RegExp; readonly role: 'up' | 'down' | 'mid' | 'alpha' }[] = [
  { end: /\.lora_up\.weight$/, role: 'up' },
  { end: /\.lora_down\.weight$/, role: 'down' },
  { end: /\.lora_mid\.weight$/, role: 'mid' },
  { end: /\.lora_B(?:\.[\w-]+)?\.weight$/, role: 'up' },
  { end: /\.lora_A(?:\.[\w-]+)?\.weight$/, role: 'down' },
  { end: /[._]lora\.up\.weight$/, role: 'up' },
  { end: /[._]lora\.down\.weight$/, role: 'down' },
  { end: /\.lora_linear_layer\.up\.weight$/, role: 'up' },
  { end: /\.lora_linear_layer\.down\.weight$/, role: 'down' },
  { end: /\.alpha$/, role: 'alpha' },
]

/** Other ways to adapt a layer: their tensors mean more than a product of two. */
const OTHER_KINDS: readonly { readonly end: RegExp; readonly kind: string }[] = [
  { end: /\.(dora_scale|lora_magnitude_vector(\.[\w-]+)?(\.weight)?)$/, kind: 'DoRA' },
  { end: /\.hada_[wt]\d(_[ab])?$/, kind: 'LoHa' },
  { end: /\.lokr_[wt]\d(_[ab])?$/, kind: 'LoKr' },
  { end: /\.(diff|diff_b|w_norm|b_norm|oft_blocks|oft_diag|a1\.weight|on_input)$/, kind: 'full or orthogonal' },
  { end: /\.lora_[AB](\.[\w-]+)?\.bias$/, kind: 'biased' },
]

/**
 * Reads the header of a LoRA file and the alphas in it.
 *
 * Throws `missing-file`, `io`, `invalid-safetensors`, and `unsupported-format` for files of other adapters (DoRA, LoHa,
 * LoKr), for a factor without its partner, and for one that is no LoRA.
 */
export async function openLora(file: string, options: { readonly readIndex: ReadIndex }): Promise<Lora> {
  const { tensors, identity } = await openCheckpoint([file], options)
  const drafts = new Map<string, Partial<Record<'up' | 'down' | 'mid' | 'alpha', TensorEntry>>>()
  const unused: string[] = []
  for (const entry of tensors.values()) {
    const other = OTHER_KINDS.find(({ end }) => end.test(entry.name))
    if (other) {
      const message = `${file}: expected a LoRA of two or three factors a layer, got a ${other.kind} adapter ("${entry.name}")`
      throw new EngineError('unsupported-format', message, { file, tensor: entry.name, got: other.kind })
    }
    const factor = FACTORS.find(({ end }) => end.test(entry.name))
    if (!factor) {
      unused.push(entry.name)
      continue
    }
    const key = entry.name.replace(factor.end, '')
    drafts.set(key, { ...drafts.get(key), [factor.role]: entry })
  }
  const alphas = await readAlphas([...drafts.values()].flatMap(({ alpha }) => alpha ?? []))
  const layers: LoraLayer[] = []
  for (const [key, { up, down, mid, alpha }] of drafts) {
    if (!up && !down) {
      if (alpha) unused.push(alpha.name)
      continue
    }
    if (!up || !down) throw halfLayer(file, key, up ? 'down' : 'up')
    const value = alpha && alphas.get(alpha.name)
    layers.push({
      key,
      ...layerPlace(key),
      up,
      down,
      ...(mid ? { mid } : {}),
      ...(value === undefined ? {} : { alpha: value }),
    })
  }
  if (layers.length === 0) {
    const message = `${file}: expected a LoRA (keys like lora_unet_... or unet....lora_A.weight), got ${someOf(unused)}`
    throw new EngineError('unsupported-format', message, { file })
  }
  return { file, identity, layers: await withMetadata(file, layers), unused: unused.sort() }
}

function halfLayer(file: string, key: string, missing: string): EngineError {
  const message = `${file}: "${key}": expected both factors of the layer, got none that goes ${missing}`
  return new EngineError('unsupported-format', message, { file, layer: key })
}

/** The alphas' values by the name of their tensors; there is one a layer at most, of a few bytes. */
async function readAlphas(entries: readonly TensorEntry[]): Promise<ReadonlyMap<string, number>> {
  const values = new Map<string, number>()
  for (const entry of entries) {
    const tensor = await readTensor(entry)
    const [value] = tensor.data.length === 1 ? toFloat32(tensor) : []
    if (value === undefined) {
      const message = `${entry.file}: "${entry.name}": expected one number, got ${formatShape(entry.shape)}`
      throw new EngineError('unsupported-format', message, { file: entry.file, tensor: entry.name })
    }
    values.set(entry.name, value)
  }
  return values
}
