/**
 * Single-file checkpoints: all networks of a model, or one, in the naming of the code they were trained with. They are
 * told by their tensors' names and shapes, and taken apart into what a diffusers folder holds.
 */

import { EngineError } from '../../errors'
import type { TensorEntry } from '../checkpoint'
import type { JsonObject } from '../jsonFields'
import {
  familyOf,
  latentScaling,
  type ModelFamily,
  type PredictionType,
  pipelineClass,
  publishedScheduler,
  sampleSize,
} from './families'
import { diffusersName, type HasTensor } from './modules'
import { openClipLayers, openClipParts, textEncoderConfig } from './textEncoder'
import { controlnetConfig, type Shapes, unetConfig, unetModules } from './unet'
import { type LatentScaling, vaeConfig, vaeModules, vaePart } from './vae'

/** One network of a file. */
export interface SingleFileComponent {
  /** `unet`, `vae`, `text_encoder`, `text_encoder_2`, `controlnet`: the folder it would be in. */
  readonly name: string
  readonly library: 'diffusers' | 'transformers'
  readonly className: string
  readonly config: JsonObject
  /** What each stored tensor holds, under diffusers' or transformers' names. */
  readonly parts: ReadonlyMap<string, readonly TensorEntry[]>
}

export interface SingleFile {
  /** By the denoiser, or the ControlNet; `undefined` where neither is there. */
  readonly family: ModelFamily | undefined
  /** diffusers' pipeline; `undefined` for networks without a denoiser and its text encoder. */
  readonly className: string | undefined
  readonly components: ReadonlyMap<string, SingleFileComponent>
  readonly scheduler: JsonObject | undefined
  /** Stored names that belong to no network, sorted. */
  readonly unused: readonly string[]
}

type Kind = 'unet' | 'controlnet' | 'vae' | 'clip' | 'clipProjected' | 'openClip' | 'openClipProjected'

/** Where a network's tensors stand in a file. */
interface Section {
  readonly component: string
  readonly prefix: string
  readonly kind: Kind
}

const SECTIONS: readonly Section[] = [
  { component: 'unet', prefix: 'model.diffusion_model.', kind: 'unet' },
  { component: 'controlnet', prefix: 'control_model.', kind: 'controlnet' },
  { component: 'vae', prefix: 'first_stage_model.', kind: 'vae' },
  { component: 'vae', prefix: 'vae.', kind: 'vae' },
  { component: 'text_encoder', prefix: 'cond_stage_model.transformer.', kind: 'clip' },
  { component: 'text_encoder', prefix: 'cond_stage_model.model.', kind: 'openClip' },
  { component: 'text_encoder', prefix: 'conditioner.embedders.0.transformer.', kind: 'clip' },
  { component: 'text_encoder_2', prefix: 'conditioner.embedders.1.model.', kind: 'openClipProjected' },
  // The refiner has no CLIP-L; diffusers calls its one encoder the second.
  { component: 'text_encoder_2', prefix: 'conditioner.embedders.0.model.', kind: 'openClipProjected' },
]

const TOKENS = 'text_model.embeddings.token_embedding.weight'

/** A file of one network: what it is when these tensors are there, in the original naming or in diffusers'. */
const ALONE: readonly (Section & { readonly marks: readonly string[] })[] = [
  { component: 'controlnet', prefix: '', kind: 'controlnet', marks: ['input_hint_block.0.weight'] },
  { component: 'controlnet', prefix: '', kind: 'controlnet', marks: ['controlnet_cond_embedding.conv_in.weight'] },
  { component: 'unet', prefix: '', kind: 'unet', marks: ['input_blocks.0.0.weight', 'out.2.weight'] },
  { component: 'unet', prefix: '', kind: 'unet', marks: ['down_blocks.0.resnets.0.conv1.weight', 'conv_out.weight'] },
  { component: 'vae', prefix: '', kind: 'vae', marks: ['decoder.mid.block_1.norm1.weight'] },
  { component: 'vae', prefix: '', kind: 'vae', marks: ['decoder.mid_block.resnets.0.norm1.weight'] },
  { component: 'text_encoder', prefix: '', kind: 'clipProjected', marks: [TOKENS, 'text_projection.weight'] },
  { component: 'text_encoder', prefix: '', kind: 'clip', marks: [TOKENS] },
]

/** Without the denoiser's own word: SD2 is read as its 768-pixel model, as diffusers reads it. */
function predictionOf(family: ModelFamily, inChannels: unknown, has: HasTensor): PredictionType {
  if (has('v_pred')) return 'v_prediction' // an empty tensor in models of XL that were trained so
  return family === 'sd2' && inChannels === 4 ? 'v_prediction' : 'epsilon'
}

/**
 * Takes a file apart.
 *
 * @param entries - its tensors as they are stored.
 * @param prediction - what the denoiser predicts; the keys of SD2's 512- and 768-pixel models are the same.
 * @returns `undefined` when it has none of these networks.
 *
 * Throws `unsupported-model` for a LoRA, and for a model that is known to need more than its tensors say.
 */
export function readSingleFile(
  file: string,
  entries: readonly TensorEntry[],
  prediction?: PredictionType,
): SingleFile | undefined {
  const stored = new Set(entries.map(({ name }) => name))
  refuse(file, stored)
  const has: HasTensor = (name) => stored.has(name)
  const alone = ALONE.find(({ marks }) => marks.every(has))
  const sections = alone ? [alone] : SECTIONS
  const taken = new Map<string, Taken>()
  for (const section of sections) {
    const found = take(entries, section)
    if (!found || taken.has(section.component)) continue
    taken.set(section.component, found)
  }
  if (taken.size === 0) return undefined

  const denoiser = taken.get('unet') ?? taken.get('controlnet')
  const draft =
    denoiser && (denoiser.kind === 'unet' ? unetConfig(denoiser.shapes, 0) : controlnetConfig(denoiser.shapes))
  const family = draft && familyOf(draft)
  const predicts = family && (prediction ?? predictionOf(family, draft.in_channels, has))
  const cells = family && predicts && sampleSize(family, predicts)
  const scaling = family && cells ? latentScaling(family, cells) : undefined
  const components = new Map(
    [...taken].map(([name, found]) => [name, componentOf(name, found, configOf(found, cells ?? 0, scaling))] as const),
  )
  const whole = components.has('unet') && (components.has('text_encoder') || components.has('text_encoder_2'))
  const used = new Set([...components.values()].flatMap(({ parts }) => [...parts.keys()]))
  return {
    family,
    className: whole && family ? pipelineClass(family, draft.in_channels) : undefined,
    components,
    scheduler:
      components.has('unet') && family && predicts ? publishedScheduler(family, predicts, has('ztsnr')) : undefined,
    unused: [...stored].filter((name) => !used.has(name)).sort(),
  }
}

/** A section's tensors under diffusers' names. */
interface Taken {
  readonly kind: Kind
  readonly parts: ReadonlyMap<string, readonly TensorEntry[]>
  readonly shapes: Shapes
}

function take(entries: readonly TensorEntry[], { prefix, kind }: Section): Taken | undefined {
  const own = entries.filter(({ name }) => name.startsWith(prefix))
  const inner = new Map(own.map((entry) => [entry.name, { ...entry, name: entry.name.slice(prefix.length) }]))
  const names = new Set([...inner.values()].map(({ name }) => name))
  const partsOf = reader(kind, (name) => names.has(name))
  const parts = new Map<string, readonly TensorEntry[]>()
  const shapes = new Map<string, readonly number[]>()
  for (const [name, entry] of inner) {
    const held = partsOf(entry)
    if (held.length === 0) continue
    parts.set(name, held)
    for (const part of held) shapes.set(part.name, part.shape)
  }
  return parts.size > 0 ? { kind, parts, shapes } : undefined
}

/** What a tensor of such a network holds, under diffusers' names; nothing for tensors that are not of it. */
function reader(kind: Kind, has: HasTensor): (entry: TensorEntry) => readonly TensorEntry[] {
  switch (kind) {
    case 'unet':
    case 'controlnet':
      return has('conv_in.weight') ? (entry) => [entry] : named(diffusersName(unetModules(has)))
    case 'vae': {
      const published = has('decoder.mid_block.resnets.0.norm1.weight')
      return published ? (entry) => [entry] : named(diffusersName(vaeModules(has)), vaePart)
    }
    case 'clip':
    case 'clipProjected': {
      const read =
        kind === 'clip'
          ? /^text_model\.(?!.*\.position_ids$)/
          : /^(text_model\.(?!.*\.position_ids$)|text_projection\.)/
      const flat = has('embeddings.token_embedding.weight') && !has(TOKENS)
      return named((name) => {
        const full = flat ? `text_model.${name}` : name
        return read.test(full) ? full : undefined
      })
    }
    case 'openClip':
      // SD2 reads the state before the last of 24 layers, and diffusers leaves that layer out.
      return openClipParts({ layers: Math.min(openClipLayers(has), 23), projection: false })
    case 'openClipProjected':
      return openClipParts({ layers: openClipLayers(has), projection: true })
    default:
      return kind satisfies never
  }
}

function named(
  nameOf: (name: string) => string | undefined,
  part: (entry: TensorEntry) => TensorEntry = (entry) => entry,
): (entry: TensorEntry) => readonly TensorEntry[] {
  return (entry) => {
    const name = nameOf(entry.name)
    return name === undefined ? [] : [part({ ...entry, name })]
  }
}

function configOf({ kind, shapes }: Taken, cells: number, scaling: LatentScaling | undefined): JsonObject {
  switch (kind) {
    case 'unet':
      return unetConfig(shapes, cells)
    case 'controlnet':
      return controlnetConfig(shapes)
    case 'vae':
      return vaeConfig(shapes, scaling)
    case 'clip':
    case 'clipProjected':
      return textEncoderConfig(shapes, shapes.get(TOKENS)?.[1] === CLIP_L_WIDTH ? 'quick_gelu' : 'gelu')
    case 'openClip':
    case 'openClipProjected':
      return textEncoderConfig(shapes, 'gelu')
    default:
      return kind satisfies never
  }
}

/** Of OpenAI's encoder, the only one of transformers' naming with its own activation. */
const CLIP_L_WIDTH = 768

function componentOf(name: string, { parts }: Taken, config: JsonObject): SingleFileComponent {
  const { _class_name: own, architectures } = config
  const library = own === undefined ? 'transformers' : 'diffusers'
  const [first] = Array.isArray(architectures) ? architectures : []
  return { name, library, className: String(own ?? first), config, parts }
}

/** What cannot be read although its tensors look like it could, and what is no model. */
function refuse(file: string, stored: ReadonlySet<string>): void {
  const names = [...stored]
  if (stored.has('edm_mean')) {
    const message = `${file}: expected latents scaled by one factor, got per-channel statistics (Playground v2.5)`
    throw new EngineError('unsupported-model', message, { file })
  }
  const factors = names.filter((name) => /(^|[._])lora[._]/.test(name)).length
  if (factors > 0 && factors >= names.length / 3) {
    const message = `${file}: expected a model, got a LoRA (${factors} of its ${names.length} tensors): load the model it was made for, and give it as a LoRA`
    throw new EngineError('unsupported-model', message, { file })
  }
}
