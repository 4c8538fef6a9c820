/** A pipeline's defaults: what its folder says a request that leaves something out should get. */

import { stat } from 'node:fs/promises'
import path from 'node:path'
import type { Styles } from '../text/styles'
import { jsonFields, readJson } from '../weights/jsonFields'
import { type ModelProvenance, readModelProvenance } from './modelProvenance'
import { readStyles } from './readStyles'

/** Defaults of a model. */
export interface PipelineDefaults {
  readonly steps: number
  readonly guidance: number
  /** Side of the default picture in pixels. */
  readonly size: number
}

/** What a folder says besides diffusers' files. */
export interface FolderSettings {
  readonly defaults: PipelineDefaults
  /** Tokens a prompt is padded or cut to. */
  readonly textLength: number
  /** How many times larger one pass of the upscaler makes a picture; 1 without one. */
  readonly upscale: number
  /** Sub-folder of the upscaler, when there is one. */
  readonly upscaler: string | undefined
  /** File of trained labels, when there is one. */
  readonly labelsFile: string | undefined
  /** Styles by name, when there are some. */
  readonly styles: Styles | undefined
  /** What it was made of, where the folder says so. */
  readonly provenance: ModelProvenance | undefined
}

/** What is known of a model without its `irodori.json`. */
export interface ModelFacts {
  /** Side of what it draws when nothing is asked for. */
  readonly native: number
  /** Sides it draws are multiples of this; `undefined` when it draws the native one alone. */
  readonly multiple: number | undefined
  readonly textLength: number
  readonly steps: number
  readonly guidance: number
}

/**
 * Reads `irodori.json`, the file beside `model_index.json` with what diffusers' files have no place for. Every field may
 * be left out, and so may the file.
 *
 * ```json
 * { "steps": 8, "guidance": 2.5, "width": 64, "height": 64, "maxSequenceLength": 16,
 *   "upscaler": "upscaler", "labels": "labels.json", "styles": { ... }, "provenance": { ... } }
 * ```
 *
 * @param folder - of the pipeline.
 * @param facts - of its family and the components' configs.
 * @throws {@link EngineError} `invalid-config` naming file and field.
 */
export async function readSettings(folder: string, facts: ModelFacts): Promise<FolderSettings> {
  const file = path.join(folder, 'irodori.json')
  const fields = jsonFields((await exists(file)) ? await readJson(file) : {}, file)
  const width = fields.integer('width', { default: facts.native, min: 8, max: 4096 })
  const height = fields.integer('height', { default: width })
  if (height !== width) fields.fail('height', `the width, ${width}`, height)
  if (facts.multiple === undefined && width !== facts.native) {
    fields.fail('width', `${facts.native}, the size of the model`, width)
  }
  if (facts.multiple !== undefined && width % facts.multiple !== 0) {
    fields.fail('width', `a multiple of ${facts.multiple}`, width)
  }
  const textLength = fields.integer('maxSequenceLength', { default: facts.textLength, min: 3, max: facts.textLength })
  const upscaler = fields.has('upscaler') ? fields.string('upscaler') : undefined
  const upscale = upscaler === undefined ? 1 : await upscaleOf(path.join(folder, upscaler))
  const size = facts.multiple === undefined ? width * upscale : width
  const settings = {
    defaults: {
      steps: fields.integer('steps', { default: facts.steps, min: 1, max: 1000 }),
      guidance: fields.number('guidance', { default: facts.guidance, min: 1, max: 50 }),
      size: fields.integer('size', { default: size, min: width }),
    },
    textLength,
    upscale,
    upscaler,
    labelsFile: fields.has('labels') ? path.join(folder, fields.string('labels')) : undefined,
    styles: fields.has('styles') ? readStyles(fields.object('styles')) : undefined,
    provenance: fields.has('provenance') ? readModelProvenance(fields.object('provenance'), folder) : undefined,
  }
  fields.inert('languages')
  fields.end()
  return settings
}

/** The factor in an upscaler's config. */
async function upscaleOf(folder: string): Promise<number> {
  const file = path.join(folder, 'config.json')
  return jsonFields(await readJson(file), file).integer('upscale', { default: 4, min: 2, max: 8 })
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  )
}
