/** Which files of a repository a model is loaded from: configs, tokenizers, and one set of safetensors each. */

import path from 'node:path'
import { EngineError } from '../errors'
import { isPickleName, pickleError } from '../weights/pickles'
import type { HubFile } from './hubListing'

export interface WantedFiles {
  /** Patterns of paths, `*` for anything: exactly these files. @defaultValue what a pipeline needs */
  readonly include?: readonly string[] | undefined
  /** `fp16`: weights of that variant where there are some. @defaultValue the plain ones */
  readonly variant?: string | undefined
}

/** Components whose networks are never run here. */
const UNUSED = ['safety_checker', 'feature_extractor', 'image_encoder']
/** Settings and vocabularies, as diffusers and transformers name them. */
const SETTINGS = /\.(json|txt|model)$/
const INDEX = 'model_index.json'

/**
 * Chooses files.
 *
 * @param repo - for messages.
 * @param index - the parsed `model_index.json`, when there is one.
 * @throws {@link EngineError} `missing-file` when no file fits, or several single files do; `unsupported-format` when
 * weights are pickled; `invalid-option` for a variant that no component has.
 */
export function neededFiles(
  repo: string,
  files: readonly HubFile[],
  index: Readonly<Record<string, unknown>> | undefined,
  { include, variant }: WantedFiles,
): readonly HubFile[] {
  if (include !== undefined) return included(repo, files, include)
  const names = new Set(folders(files, index))
  const chosen = files.filter(({ path: file }) => {
    const { folder, name } = split(file)
    return names.has(folder) && SETTINGS.test(name) && !name.includes('.index.') && isReadSetting(folder, name)
  })
  const weights = [...names].map((folder) => ({
    folder,
    found: UNUSED.includes(folder) ? undefined : weightsIn(repo, folder, inFolder(files, folder), index, variant),
  }))
  if (variant !== undefined && !weights.some(({ found }) => found?.variant === variant)) {
    const known = [...new Set(weights.flatMap(({ found }) => found?.variants ?? []))].join(', ') || 'none'
    const message = `variant: expected one that ${repo} has (${known}), got ${variant}`
    throw new EngineError('invalid-option', message, { option: 'variant', repo, got: variant })
  }
  return [...new Set([...chosen, ...weights.flatMap(({ found }) => found?.files ?? [])])]
}

/** Root and, for pipelines, the components that the index names. */
function folders(files: readonly HubFile[], index: Readonly<Record<string, unknown>> | undefined): readonly string[] {
  const present = new Set(files.map(({ path: file }) => split(file).folder))
  const named = Object.entries(index ?? {}).filter(([, value]) => Array.isArray(value) && value[0] !== null)
  return ['', ...named.map(([name]) => name).filter((name) => present.has(name))]
}

/** Of the root only settings of the model itself; of components everything. */
function isReadSetting(folder: string, name: string): boolean {
  return folder !== '' || [INDEX, 'config.json', 'irodori.json'].includes(name)
}

interface Weights {
  readonly files: readonly HubFile[]
  readonly variant: string | undefined
  readonly variants: readonly string[]
}

/** The weights of a folder as `findWeightFiles` will look for them: plain before variants, whole before shards. */
function weightsIn(
  repo: string,
  folder: string,
  files: readonly HubFile[],
  index: Readonly<Record<string, unknown>> | undefined,
  variant: string | undefined,
): Weights | undefined {
  const isRoot = folder === ''
  if (isRoot && index !== undefined) return undefined // beside the components lies the same once more, in one file
  const nameOf = (file: HubFile) => split(file.path).name
  const all = files.filter((file) => nameOf(file).endsWith('.safetensors'))
  const sets = new Map<string | undefined, HubFile[]>()
  for (const file of all) {
    const match =
      /^(?:diffusion_pytorch_model|model)(?:\.([\w-]+?))?(?:-\d{5}-of-\d{5})?(?:\.([\w-]+))?\.safetensors$/.exec(
        nameOf(file),
      )
    if (match) sets.set(match[1] ?? match[2], [...(sets.get(match[1] ?? match[2]) ?? []), file])
  }
  const variants = [...sets.keys()].filter((name) => name !== undefined)
  const [only] = variants
  const choice = sets.has(variant)
    ? variant
    : sets.has(undefined)
      ? undefined
      : variants.length === 1
        ? only
        : undefined
  const found = sets.get(choice)
  if (found !== undefined) {
    const whole = found.filter((file) => !/-\d{5}-of-\d{5}/.test(nameOf(file)))
    return { files: [...(whole.length > 0 ? whole : withIndex(found, files, choice))], variant: choice, variants }
  }
  if (variants.length > 0) {
    const message = `${repo}: ${folder || 'weights'}: expected plain weights, got the variants ${variants.join(', ')}: choose one with --variant`
    throw new EngineError('missing-file', message, { repo, folder, variants })
  }
  const [first, ...more] = all
  if (first !== undefined && more.length === 0) return { files: [first], variant: undefined, variants }
  if (first !== undefined) {
    const listed = all.map(nameOf).slice(0, 12).join(', ')
    const message = `${repo}: expected one safetensors file, got ${all.length} (${listed}): choose with --include`
    throw new EngineError('missing-file', message, { repo, files: all.map((file) => file.path) })
  }
  const pickles = files.map(nameOf).filter(isPickleName)
  if (pickles.length > 0) throw pickleError(isRoot ? repo : `${repo}/${folder}`, pickles)
  return isRoot ? undefined : { files: [], variant: undefined, variants }
}

/** Shards and the index that says what lies in which. */
function withIndex(shards: readonly HubFile[], files: readonly HubFile[], variant: string | undefined): HubFile[] {
  const endings =
    variant === undefined
      ? ['.safetensors.index.json']
      : [`.${variant}.safetensors.index.json`, `.safetensors.index.${variant}.json`]
  const stems = ['diffusion_pytorch_model', 'model']
  const wanted = stems.flatMap((stem) => endings.map((ending) => `${stem}${ending}`))
  return [...files.filter((file) => wanted.includes(split(file.path).name)), ...shards]
}

function included(repo: string, files: readonly HubFile[], patterns: readonly string[]): readonly HubFile[] {
  const tests = patterns.map((pattern) => ({ pattern, test: globOf(pattern) }))
  for (const { pattern, test } of tests) {
    if (files.some((file) => test.test(file.path))) continue
    const listed = files
      .map((file) => file.path)
      .slice(0, 20)
      .join(', ')
    const message = `include: expected a pattern of files in ${repo} (${listed}), got ${pattern}`
    throw new EngineError('missing-file', message, { option: 'include', repo, got: pattern })
  }
  return files.filter((file) => tests.some(({ test }) => test.test(file.path)))
}

/** `*` is any run of characters, `?` one, folders included, as in Hugging Face's own tools. */
function globOf(pattern: string): RegExp {
  const parts = [...pattern].map((character) => {
    if (character === '*') return '.*'
    return character === '?' ? '.' : character.replace(/[\\^$.*+()[\]{}|/]/, '\\$&')
  })
  return new RegExp(`^${parts.join('')}$`, 'su')
}

function inFolder(files: readonly HubFile[], folder: string): readonly HubFile[] {
  return files.filter((file) => split(file.path).folder === folder)
}

function split(file: string): { readonly folder: string; readonly name: string } {
  const folder = path.posix.dirname(file)
  return { folder: folder === '.' ? '' : folder, name: path.posix.basename(file) }
}
