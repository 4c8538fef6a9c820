/** What diffusers and PEFT write of an adapter into a file's metadata: alphas that no tensor holds. */

import { open } from 'node:fs/promises'
import type { JsonObject } from '../jsonFields'
import type { LoraLayer } from './layer'

/** The format's own limit. */
const MAX_HEADER_BYTES = 100_000_000

/**
 * The layers with the alphas of the file's `lora_adapter_metadata`, where they have none of their own. The settings of a
 * component are those of PEFT's `LoraConfig`: one alpha, and exceptions by layer in `alpha_pattern`.
 */
export async function withMetadata(file: string, layers: readonly LoraLayer[]): Promise<readonly LoraLayer[]> {
  if (layers.every(({ alpha }) => alpha !== undefined)) return layers
  const text = (await readMetadata(file)).lora_adapter_metadata
  if (typeof text !== 'string') return layers
  const settings = parseObject(text)
  return layers.map((layer) => {
    const alpha = layer.alpha ?? alphaOf(settings, layer)
    return alpha === undefined ? layer : { ...layer, alpha }
  })
}

function alphaOf(settings: JsonObject, { component, path, down }: LoraLayer): number | undefined {
  const setting = (name: string): unknown => settings[`${component}.${name}`]
  const patterns = Object.entries(objectOr(setting('alpha_pattern')))
  const own = patterns.find(([pattern]) => {
    const end = pattern.replaceAll('.', '_') // a layer's path, or its end
    return path === end || path.endsWith(`_${end}`)
  })
  const alpha = own ? own[1] : setting('lora_alpha')
  if (typeof alpha !== 'number') return undefined
  // Kalajdzievski 2023 (arXiv:2312.03732): alpha over the root of the rank instead of the rank.
  return setting('use_rslora') === true ? alpha * Math.sqrt(down.shape[0] ?? 1) : alpha
}

async function readMetadata(file: string): Promise<JsonObject> {
  await using handle = await open(file)
  const length = Number((await handle.read(Buffer.alloc(8), 0, 8, 0)).buffer.readBigUInt64LE(0))
  if (length > MAX_HEADER_BYTES) return {}
  const { buffer } = await handle.read(Buffer.alloc(length), 0, length, 8)
  return objectOr(parseObject(buffer.toString()).__metadata__)
}

function parseObject(text: string): JsonObject {
  try {
    return objectOr(JSON.parse(text))
  } catch {
    return {} // notes of another kind: nobody promised JSON
  }
}

function objectOr(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {}
}
