/** Models that come with the package, and what a model argument stands for. */

import { existsSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import { EngineError } from '../errors'
import { isHubId, resolveCached } from '../hub/hubCache'
import { suggest } from '../text/editDistance'

/** Where the package keeps its models. */
const MODELS_FOLDER = path.join(__dirname, '..', '..', 'models')

/** Names of the bundled models. */
export function bundledModels(): string[] {
  if (!existsSync(MODELS_FOLDER)) return []
  return readdirSync(MODELS_FOLDER).filter((name) => existsSync(path.join(MODELS_FOLDER, name, 'model_index.json')))
}

/**
 * Where a model is: a bundled one by its name, any other by its path, or by the id under which it lies in the hub's cache.
 *
 * @param model - `emoji`, a folder, a safetensors file, or `owner/name`, in this order.
 * @throws {@link EngineError} `missing-file` when it is none; `invalid-argument` when it is no string.
 */
export function resolveModel(model: unknown): { readonly name: string; readonly folder: string } {
  if (typeof model !== 'string' || model === '') {
    throw new EngineError('invalid-argument', `model: expected a name or a folder, got ${String(model) || 'nothing'}`)
  }
  const bundled = bundledModels()
  if (bundled.includes(model)) return { name: model, folder: path.join(MODELS_FOLDER, model) }
  const folder = path.resolve(model)
  const found = statSync(folder, { throwIfNoEntry: false })
  if (found?.isDirectory()) return { name: path.basename(folder), folder }
  if (found?.isFile()) return { name: path.parse(folder).name, folder }
  const pulled = resolveCached(model)
  if (pulled !== undefined) return { name: model, folder: pulled }
  if (isHubId(model)) {
    const message = `model: expected a folder, a file or a pulled model, got ${model}, which is not there; irodori pull ${model} fetches it`
    throw new EngineError('missing-file', message, { model, file: folder })
  }
  const meant = suggest(model, bundled)
  const hint = meant === undefined ? '' : `; did you mean ${meant}?`
  const known = bundled.join(', ') || 'none'
  const message = `model: expected a bundled model (${known}), a folder or a file, got ${model}, which is none${hint}`
  throw new EngineError('missing-file', message, { model, file: folder, bundled })
}
