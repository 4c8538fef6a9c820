/** Models wherever they are: a diffusers folder, a component's folder, or a single file, under one description. */

import { join } from 'node:path'
import { EngineError } from '../errors'
import { type Checkpoint, openCheckpoint, type ReadIndex, type TensorEntry } from './checkpoint'
import { type JsonObject, jsonObject, readJson } from './jsonFields'
import { exists, findComponent, type ModelFolder, openModelFolder, splitName } from './modelFolder'
import { familyOf, type ModelFamily, type PAD_TOKENS, type PredictionType, tokenizersOf } from './original/families'
import { readSingleFile, type SingleFile } from './original/singleFile'

/** Where a model's scheduler is described. */
export type SchedulerSource =
  | { readonly kind: 'file'; readonly file: string }
  /** As the family was published; single files have none. */
  | { readonly kind: 'published'; readonly config: JsonObject }

/** Where a model's tokenizer is. */
export type TokenizerSource =
  | { readonly kind: 'folder'; readonly folder: string }
  /** CLIP's own, which single files do not hold: 49408 tokens, 77 at most, 49406 begins and 49407 ends a text. */
  | { readonly kind: 'clip'; readonly padToken: (typeof PAD_TOKENS)[keyof typeof PAD_TOKENS] }

/** A model on disk, before any weight is read. */
export interface ModelDescription extends ModelFolder {
  /** By the denoiser, or the ControlNet where it comes alone; `undefined` for models of other kinds. */
  readonly family: ModelFamily | undefined
  readonly scheduler: SchedulerSource | undefined
  /** By the names of their folders, `tokenizer` and `tokenizer_2`. */
  readonly tokenizers: ReadonlyMap<string, TokenizerSource>
  /** Of a single file: names of tensors that no network of it has, sorted. */
  readonly unused: readonly string[]
  /** Of a single file: its header, and what was recognised in it. */
  readonly file?: OpenedFile
}

/** A single file whose header was read. */
export interface OpenedFile {
  readonly entries: readonly TensorEntry[]
  /** Left out for a file with other networks than those of Stable Diffusion. */
  readonly recognised?: SingleFile
}

export interface OpenModelOptions {
  readonly readIndex: ReadIndex
  /**
   * What the denoiser of a single file predicts. Its tensors tell only sometimes. @defaultValue `v_prediction` for SD2
   * and where the file says so, `epsilon` for all others
   */
  readonly prediction?: PredictionType
}

/**
 * Looks at a folder or a file: of a folder its JSON is read, of a file its header.
 *
 * Throws `missing-file`, `invalid-config`, `invalid-safetensors`, `unsupported-format` (pickles among them) and
 * `unsupported-model` for a file that is no model.
 */
export async function openModel(path: string, options: OpenModelOptions): Promise<ModelDescription> {
  const folder = await openModelFolder(path)
  return folder.kind === 'file' ? describeFile(folder, options) : describeFolder(folder)
}

async function describeFile(folder: ModelFolder, options: OpenModelOptions): Promise<ModelDescription> {
  const { path } = folder
  const entries = await options.readIndex(path)
  const recognised = readSingleFile(path, entries, options.prediction)
  if (!recognised) {
    return { ...folder, family: undefined, scheduler: undefined, tokenizers: new Map(), unused: [], file: { entries } }
  }
  const { family, className, scheduler, unused } = recognised
  const components = new Map(
    [...recognised.components].map(([name, { library, className }]) => [
      name,
      { name, folder: path, library, className },
    ]),
  )
  const pads = family && className !== undefined ? tokenizersOf(family) : new Map<string, 49407 | 0>()
  return {
    ...folder,
    ...(className === undefined ? {} : { className }),
    components,
    family,
    scheduler: scheduler && { kind: 'published', config: scheduler },
    tokenizers: new Map([...pads].map(([name, padToken]) => [name, { kind: 'clip', padToken }])),
    unused,
    file: { entries, recognised },
  }
}

async function describeFolder(folder: ModelFolder): Promise<ModelDescription> {
  const { path, components } = folder
  const tokenizers = new Map<string, TokenizerSource>()
  for (const name of ['tokenizer', 'tokenizer_2']) {
    const at = join(path, name)
    if (components.has(name) || (await exists(at))) tokenizers.set(name, { kind: 'folder', folder: at })
  }
  const scheduler = join(path, 'scheduler', 'scheduler_config.json')
  return {
    ...folder,
    family: await folderFamily(folder),
    scheduler: (await exists(scheduler)) ? { kind: 'file', file: scheduler } : undefined,
    tokenizers,
    unused: [],
  }
}

async function folderFamily({ kind, path, components }: ModelFolder): Promise<ModelFamily | undefined> {
  const denoiser = ['unet', 'controlnet'].find((name) => components.has(name))
  const file = kind === 'component' ? join(path, 'config.json') : denoiser && join(path, denoiser, 'config.json')
  if (file === undefined || !(await exists(file))) return undefined
  return familyOf(jsonObject(await readJson(file), file))
}

/** One network's config and tensors, wherever they come from. */
export interface ModelComponent {
  readonly name: string
  /** Half of an autoencoder: the `encoder` of `vae.encoder`. */
  readonly part?: 'encoder' | 'decoder'
  /** Folder, or the single file. */
  readonly path: string
  /** File that messages name. */
  readonly configFile: string
  /** Left out, like `config`, for a file that is not recognised here: its network may know it. */
  readonly className?: string
  readonly config?: JsonObject
  /** Under diffusers' or transformers' names; those of a file that is not recognised as they are stored. */
  readonly checkpoint: Checkpoint
}

export interface OpenModelComponentOptions {
  readonly readIndex: ReadIndex
  /** `fp16`, `bf16`: which of several weight files of a folder. */
  readonly variant?: string
}

/**
 * Opens one network of a model; its weights are located, not read.
 *
 * @param name - `unet`, or half of an autoencoder, `vae.decoder`. Where a file or folder is one network, the part before
 *   the dot is free.
 *
 * Throws `unknown-component` (with the names there are), `missing-file`, `invalid-config`, `invalid-safetensors`,
 * `unsupported-format`, `missing-tensor` for a shard without what its index promises, `io` for a file that changed,
 * `invalid-option` for a variant of a single file.
 */
export async function openModelComponent(
  model: ModelDescription,
  name: string,
  options: OpenModelComponentOptions,
): Promise<ModelComponent> {
  const { path, file } = model
  const { readIndex, variant } = options
  if (!file) {
    const source = await findComponent(model, name, variant === undefined ? {} : { variant })
    const { files, weightMap } = source.weights
    const { part, config, className, configFile } = source
    return {
      name: source.name,
      path: source.path,
      configFile,
      ...(part ? { part } : {}),
      ...(config ? { config } : {}),
      ...(className === undefined ? {} : { className }),
      checkpoint: await openCheckpoint(files, { readIndex, ...(weightMap ? { weightMap } : {}) }),
    }
  }
  if (variant !== undefined) {
    const message = `${path}: expected no variant for a single file, got "${variant}"`
    throw new EngineError('invalid-option', message, { option: 'variant' })
  }
  const { stem, part } = splitName(path, name)
  const known = file.recognised?.components
  const [only] = known?.size === 1 ? known.values() : []
  const component = known?.get(stem) ?? only
  if (known && !component) {
    const names = [...known.keys()]
    const message = `${path}: expected one of ${names.join(', ')}, got "${name}"`
    throw new EngineError('unknown-component', message, { name, known: names })
  }
  const parts = component?.parts
  return {
    name: stem,
    path,
    configFile: path,
    ...(part ? { part } : {}),
    ...(component ? { config: component.config, className: component.className } : {}),
    checkpoint: await openCheckpoint([path], {
      readIndex: async () => file.entries,
      ...(parts ? { parts: ({ name: stored }: TensorEntry) => parts.get(stored) ?? [] } : {}),
    }),
  }
}
