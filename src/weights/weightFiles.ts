/** Which safetensors files hold a component's weights: one file, shards named by an index, variants, checked against escapes. */

import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { EngineError } from '../errors'
import { jsonObject, readJson } from './jsonFields'
import { isPickleName, pickleError } from './pickles'

/** Files of one component and, for shards, which tensor lies in which. */
export interface WeightFiles {
  readonly files: readonly string[]
  readonly weightMap?: ReadonlyMap<string, string>
  /** `fp16`, `bf16` or whatever stands before `.safetensors`; left out for the plain files. */
  readonly variant?: string
}

/** File stems of diffusers and of transformers. */
const STEMS = ['diffusion_pytorch_model', 'model'] as const

/**
 * Finds the weights in a component's folder.
 *
 * Plain files are taken unless a variant is asked for; where only one variant exists, it is taken. A folder with one
 * safetensors file of any name is read too.
 *
 * Throws `missing-file` (with what is there), `unsupported-format` when there are only weights of another format, and
 * `invalid-config` for a bad index.
 */
export async function findWeightFiles(folder: string, variant?: string): Promise<WeightFiles> {
  const names = (
    await readdir(folder).catch((cause) => {
      throw new EngineError('missing-file', `${folder}: expected a folder, found none`, { file: folder, cause })
    })
  ).sort()
  const present = new Set(names)

  const whole = (suffix: string): string | undefined =>
    STEMS.map((stem) => `${stem}${suffix}.safetensors`).find((name) => present.has(name))
  const index = (suffix: string): string | undefined =>
    STEMS.flatMap((stem) => [
      `${stem}${suffix}.safetensors.index.json`,
      `${stem}.safetensors.index${suffix}.json`,
    ]).find((name) => present.has(name))
  const found = async (chosen?: string): Promise<WeightFiles | undefined> => {
    const suffix = chosen === undefined ? '' : `.${chosen}`
    const named = chosen === undefined ? {} : { variant: chosen }
    const file = whole(suffix)
    if (file) return { files: [join(folder, file)], ...named }
    const indexFile = index(suffix)
    return indexFile ? { ...(await readIndexFile(folder, indexFile)), ...named } : undefined
  }

  const asked = await found(variant)
  if (asked) return asked
  const variants = variantsIn(names)
  const [only] = variants
  if (variant === undefined && only !== undefined && variants.length === 1) {
    const files = await found(only)
    if (files) return files
  }
  const loose = names.filter((name) => name.endsWith('.safetensors'))
  const [single] = loose
  if (variant === undefined && single !== undefined && loose.length === 1) return { files: [join(folder, single)] }

  const pickles = names.filter(isPickleName)
  if (loose.length === 0 && pickles.length > 0) throw pickleError(folder, pickles)
  const other = names.filter((name) => /\.(msgpack|h5|onnx|gguf)$/.test(name))
  if (loose.length === 0 && other.length > 0) {
    throw new EngineError('unsupported-format', `${folder}: expected safetensors files, got ${other.join(', ')}`, {
      file: folder,
      got: other,
    })
  }
  const expected = variant === undefined ? 'weights' : `weights of variant "${variant}"`
  const choice =
    variants.length > 0 ? `variants ${variants.map((name) => `"${name}"`).join(', ')}` : loose.join(', ') || 'none'
  throw new EngineError('missing-file', `${folder}: expected ${expected}, found ${choice}`, {
    file: folder,
    variant,
    variants,
  })
}

function variantsIn(names: readonly string[]): string[] {
  const forms = [
    /^(?:diffusion_pytorch_)?model\.([\w-]+)\.safetensors(?:\.index\.json)?$/,
    /^(?:diffusion_pytorch_)?model\.safetensors\.index\.([\w-]+)\.json$/,
  ]
  const found = names.flatMap((name) => forms.flatMap((form) => form.exec(name)?.[1] ?? []))
  return [...new Set(found)].filter((name) => !/-\d{5}-of-\d{5}$/.test(name))
}

async function readIndexFile(folder: string, name: string): Promise<WeightFiles> {
  const where = join(folder, name)
  const map = jsonObject(jsonObject(await readJson(where), where).weight_map, `${where}: weight_map`)
  const weightMap = new Map<string, string>()
  for (const [tensor, shard] of Object.entries(map)) {
    const plain =
      typeof shard === 'string' && shard.endsWith('.safetensors') && shard === basename(shard) && !/[\\/\0]/.test(shard)
    if (!plain) {
      throw new EngineError(
        'invalid-config',
        `${where}: weight_map["${tensor}"]: expected a safetensors file of this folder, got ${JSON.stringify(shard)}`,
        {
          file: where,
          field: `weight_map.${tensor}`,
          got: shard,
        },
      )
    }
    weightMap.set(tensor, join(folder, shard))
  }
  const files = [...new Set(weightMap.values())].sort()
  if (files.length === 0)
    throw new EngineError('invalid-config', `${where}: weight_map: expected at least one tensor, got none`, {
      file: where,
      field: 'weight_map',
    })
  return { files, weightMap }
}
