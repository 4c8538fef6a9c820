/** Model folders: diffusers pipelines (`model_index.json` and a folder per component), bare components, and single files. */

import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { EngineError } from '../errors'
import { type JsonObject, jsonObject, readJson } from './jsonFields'
import { isPickle, isPickleName, pickleError } from './pickles'
import { findWeightFiles, type WeightFiles } from './weightFiles'

/** What a pipeline's index says of one component. */
export interface ComponentEntry {
  /** Sub-folder name, `transformer`. */
  readonly name: string
  readonly folder: string
  /** `diffusers` or `transformers`, as the index says; left out where there is no index. */
  readonly library?: string
  /** Class by the index; left out where there is no index. */
  readonly className?: string
}

/** A model on disk, before any weight is read. */
export interface ModelFolder {
  readonly path: string
  /** `pipeline`: sub-folders; `component`: the folder itself is one; `file`: one safetensors file without config. */
  readonly kind: 'pipeline' | 'component' | 'file'
  /** The pipeline's class by `model_index.json`. */
  readonly className?: string
  /** Components by name; of kind `pipeline` only. */
  readonly components: ReadonlyMap<string, ComponentEntry>
  /** Other fields of `model_index.json`: `requires_safety_checker` and the like. */
  readonly settings: JsonObject
}

/** One component, ready to have its weights opened. */
export interface ComponentSource {
  readonly name: string
  /** Half of an autoencoder: the `encoder` of `vae.encoder`. */
  readonly part?: 'encoder' | 'decoder'
  /** Folder, or the file of kind `file`. */
  readonly path: string
  /** File that messages name. */
  readonly configFile: string
  /** Class by `_class_name` or `architectures`; left out for a file without config. */
  readonly className?: string
  /** Parsed `config.json`; left out for a file without config. */
  readonly config?: JsonObject
  readonly weights: WeightFiles
}

/**
 * Looks at a path and lists its components.
 *
 * Throws `missing-file` when nothing is there, `invalid-config` for a bad index.
 */
export async function openModelFolder(path: string): Promise<ModelFolder> {
  const found = await stat(path).catch((cause) => {
    throw new EngineError('missing-file', `${path}: expected a model folder or a safetensors file, found nothing`, {
      file: path,
      cause,
    })
  })
  if (found.isFile()) {
    if (isPickleName(path) || (await isPickle(path))) throw pickleError(path)
    if (path.endsWith('.safetensors')) return { path, kind: 'file', components: new Map(), settings: {} }
    throw new EngineError(
      'unsupported-format',
      `${path}: expected a model folder or a safetensors file, got ${basename(path)}`,
      { file: path },
    )
  }
  const indexFile = join(path, 'model_index.json')
  if (await exists(indexFile)) return readModelIndex(path, indexFile)
  if (await exists(join(path, 'config.json'))) return { path, kind: 'component', components: new Map(), settings: {} }
  const components = new Map<string, ComponentEntry>()
  for (const name of (await readdir(path)).sort()) {
    const folder = join(path, name)
    if (await exists(join(folder, 'config.json'))) components.set(name, { name, folder })
  }
  if (components.size > 0) return { path, kind: 'pipeline', components, settings: {} }
  throw new EngineError(
    'missing-file',
    `${path}: expected model_index.json, config.json or component folders, found none`,
    { file: path },
  )
}

async function readModelIndex(path: string, indexFile: string): Promise<ModelFolder> {
  const index = jsonObject(await readJson(indexFile), indexFile)
  const components = new Map<string, ComponentEntry>()
  const settings: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(index)) {
    if (name.startsWith('_')) continue
    if (!Array.isArray(value)) {
      settings[name] = value
      continue
    }
    const [library, className] = value
    if (value.length === 2 && library === null && className === null) continue
    if (value.length !== 2 || typeof library !== 'string' || typeof className !== 'string' || !isPlainName(name)) {
      throw new EngineError(
        'invalid-config',
        `${indexFile}: ${name}: expected [library, class], got ${JSON.stringify(value)}`,
        {
          file: indexFile,
          field: name,
          got: value,
        },
      )
    }
    components.set(name, { name, folder: join(path, name), library, className })
  }
  const className = index._class_name
  return { path, kind: 'pipeline', components, settings, ...(typeof className === 'string' ? { className } : {}) }
}

/**
 * Finds one network of a model.
 *
 * @param name - the component's folder, `transformer`, or its half, `vae.decoder`. In a bare component or a file the
 *   folder's part of the name is free.
 * @param variant - `fp16`, `bf16`: which of several weight files to take.
 *
 * Throws `unknown-component` (with the names there are), `missing-file`, `invalid-config`.
 */
export async function findComponent(
  model: ModelFolder,
  name: string,
  options: { readonly variant?: string } = {},
): Promise<ComponentSource> {
  const { stem, part } = splitName(model.path, name)
  const named = { name: stem, ...(part ? { part } : {}) }
  if (model.kind === 'file') {
    return { ...named, path: model.path, configFile: model.path, weights: { files: [model.path] } }
  }
  const folder = model.kind === 'component' ? model.path : join(model.path, stem)
  const configFile = join(folder, 'config.json')
  if (!(await exists(configFile))) {
    const known = [...model.components.keys()]
    throw new EngineError(
      'unknown-component',
      `${model.path}: expected one of ${known.join(', ') || 'its components'}, got "${name}" (no ${join(basename(folder), 'config.json')})`,
      {
        name,
        known,
      },
    )
  }
  const config = jsonObject(await readJson(configFile), configFile)
  const className = classOf(config, configFile)
  const promised = model.components.get(stem)?.className
  // diffusers itself reads files of the class Transformer2DModel as the class its norm_type says.
  if (promised !== undefined && promised !== className && className !== 'Transformer2DModel') {
    throw new EngineError(
      'invalid-config',
      `${configFile}: expected the class ${promised} of model_index.json, got ${className}`,
      {
        file: configFile,
        field: '_class_name',
        expected: promised,
        got: className,
      },
    )
  }
  return {
    ...named,
    path: folder,
    configFile,
    className,
    config,
    weights: await findWeightFiles(folder, options.variant),
  }
}

/** `vae.decoder` as its folder and its half. Throws `unknown-component` for what is no such name. */
export function splitName(
  path: string,
  name: string,
): { readonly stem: string; readonly part: ComponentSource['part'] } {
  const [stem = '', half, ...rest] = name.split('.')
  const part: ComponentSource['part'] = half === 'encoder' || half === 'decoder' ? half : undefined
  if (isPlainName(stem) && rest.length === 0 && (half === undefined || part)) return { stem, part }
  throw new EngineError(
    'unknown-component',
    `${path}: expected a component name like "transformer" or "vae.decoder", got ${JSON.stringify(name)}`,
    {
      name,
    },
  )
}

function classOf(config: JsonObject, file: string): string {
  const { _class_name: own, architectures } = config
  if (typeof own === 'string') return own
  const [first] = Array.isArray(architectures) ? architectures : []
  if (typeof first === 'string') return first
  throw new EngineError(
    'invalid-config',
    `${file}: _class_name: expected the network's class there or in architectures, got neither`,
    {
      file,
      field: '_class_name',
    },
  )
}

function isPlainName(name: string): boolean {
  return /^[A-Za-z0-9_-]+$/.test(name)
}

/** Whether there is something of that path. */
export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
