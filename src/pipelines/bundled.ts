/** Models that come with the package, and what a model argument stands for. */

import { existsSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { EngineError } from '../errors'
import { suggest } from '../text/editDistance'

/** Where the package keeps its models. */
const MODELS_FOLDER = path.join(__dirname, '..', '..', 'models')

/** Names of the bundled models. */
export function bundledModels(): string[] {
  if (!existsSync(MODELS_FOLDER)) return []
  return readdirSync(MODELS_FOLDER).filter((name) => existsSync(path.join(MODELS_FOLDER, name, 'model_index.json')))
}

/**
 * The folder of a model: a bundled one by its name, any other by its path.
 *
 * @param model - `emoji`, or a folder with `model_index.json`. A name without a separator is a bundled model's first.
 * @throws {@link EngineError} `missing-file` when it is neither; `invalid-argument` when it is no string.
 */
export function resolveModel(model: unknown): { readonly name: string; readonly folder: string } {
  if (typeof model !== 'string' || model === '') {
    throw new EngineError('invalid-argument', `model: expected a name or a folder, got ${String(model) || 'nothing'}`)
  }
  const bundled = bundledModels()
  if (bundled.includes(model)) return { name: model, folder: path.join(MODELS_FOLDER, model) }
  const folder = path.resolve(model)
  if (existsSync(folder) && statSync(folder).isDirectory()) return { name: path.basename(folder), folder }
  const meant = suggest(model, bundled)
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`
  const known = bundled.join(', ') || 'none'
  const message = `model: expected a bundled model (${known}) or a folder, got ${model}, which is neither${hint}`
  throw new EngineError('missing-file', message, { model, file: folder, bundled })
}

/** As {@link resolveModel}, for commands that also take a file. */
export function resolveModelPath(model: string): string {
  const file = path.resolve(model)
  return existsSync(file) && statSync(file).isFile() ? file : resolveModel(model).folder
}
