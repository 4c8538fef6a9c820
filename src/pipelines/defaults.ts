/** A pipeline's defaults: what its folder says a request that leaves something out should get. */

import { stat } from 'node:fs/promises'
import path from 'node:path'
import { jsonFields, readJson } from '../weights/jsonFields'

/** Defaults of a text-to-image model. */
export interface PipelineDefaults {
  readonly steps: number
  readonly guidance: number
  /** Side of the default picture in pixels. */
  readonly size: number
  /** Side of what the decoder gives, before any upscaling. */
  readonly nativeSize: number
  /** Tokens a prompt is padded or cut to. */
  readonly textLength: number
  /** How many times larger one pass of the upscaler makes a picture; 1 without one. */
  readonly upscale: number
  /** Sub-folder of the upscaler, when there is one. */
  readonly upscaler: string | undefined
  /** File of trained labels, when there is one. */
  readonly labelsFile: string | undefined
}

/** What is known of a model without its `irodori.json`. */
export interface ModelFacts {
  readonly nativeSize: number
  readonly textLength: number
}

/** Steps and guidance that suit most models, where a folder says nothing. */
const STEPS = 20
const GUIDANCE = 4.5

/**
 * Reads `irodori.json`, the file beside `model_index.json` with what diffusers' files have no place for. Every field may
 * be left out, and so may the file.
 *
 * ```json
 * { "steps": 8, "guidance": 2.5, "width": 64, "height": 64, "maxSequenceLength": 16,
 *   "upscaler": "upscaler", "labels": "labels.json" }
 * ```
 *
 * @param folder - of the pipeline.
 * @param facts - from the components' configs.
 * @throws {@link EngineError} `invalid-config` naming file and field.
 */
export async function readDefaults(folder: string, facts: ModelFacts): Promise<PipelineDefaults> {
  const file = path.join(folder, 'irodori.json')
  const fields = jsonFields((await exists(file)) ? await readJson(file) : {}, file)
  const nativeSize = fields.integer('width', { default: facts.nativeSize, min: 8, max: 4096 })
  const height = fields.integer('height', { default: nativeSize })
  if (height !== nativeSize) fields.fail('height', `the width, ${nativeSize}`, height)
  if (nativeSize !== facts.nativeSize) {
    fields.fail('width', `${facts.nativeSize}, the size of the model`, nativeSize)
  }
  const textLength = fields.integer('maxSequenceLength', { default: facts.textLength, min: 3, max: facts.textLength })
  const upscaler = fields.has('upscaler') ? fields.string('upscaler') : undefined
  const upscale = upscaler === undefined ? 1 : await upscaleOf(path.join(folder, upscaler))
  const defaults = {
    steps: fields.integer('steps', { default: STEPS, min: 1, max: 1000 }),
    guidance: fields.number('guidance', { default: GUIDANCE, min: 1, max: 50 }),
    size: fields.integer('size', { default: nativeSize * upscale, min: nativeSize }),
    nativeSize,
    textLength,
    upscale,
    upscaler,
    labelsFile: fields.has('labels') ? path.join(folder, fields.string('labels')) : undefined,
  }
  fields.inert('languages')
  fields.end()
  return defaults
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
