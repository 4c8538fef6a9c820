/** LoRAs of a pipeline: which layers of its networks they are added to. */

import path from 'node:path'
import { readSafetensorsIndex } from '../bindings'
import { checkNames, invalidOption, numberOption, stringOption } from '../text/givenOptions'
import { matchLoras, openLora } from '../weights'
import { modelHash } from './modelHash'
import type { PipelineNetwork } from './network'

/** A LoRA for the denoiser and the text encoders. */
export interface LoraOptions {
  /** A safetensors file in the naming of kohya, diffusers or PEFT. */
  readonly file: string
  /** Factor on the whole of it, -10 to 10. @defaultValue 1, as it was trained */
  readonly scale?: number
}

export type LoraRequest = Required<LoraOptions>

/** A LoRA as metadata knows it. */
export interface NamedLora {
  readonly name: string
  readonly hash: string
  readonly scale: number
}

const MAX_SCALE = 10

/** Throws `invalid-option` and `unknown-option`. */
export function readLoras(loras: unknown): readonly LoraRequest[] {
  if (loras === undefined) return []
  if (!Array.isArray(loras)) throw invalidOption('loras', 'a list of { file, scale }', loras)
  return loras.map((one: unknown, i) => {
    const given = checkNames(`loras[${i}]`, one, ['file', 'scale'])
    const file = stringOption(given, 'file')
    if (file === undefined || file === '') throw invalidOption(`loras[${i}].file`, 'a safetensors file', file ?? 'none')
    return { file, scale: numberOption(given, 'scale', -MAX_SCALE, MAX_SCALE) ?? 1 }
  })
}

/**
 * Patches networks that have not run yet.
 *
 * @param networks - by component: `unet`, `text_encoder`, `text_encoder_2`.
 * @returns their names, and layers that go nowhere.
 * @throws {@link EngineError} `lora-mismatch` for a LoRA of another family; what opening files throws.
 */
export async function applyLoras(
  loras: readonly LoraRequest[],
  networks: readonly PipelineNetwork[],
  signal: AbortSignal | undefined,
): Promise<{ readonly named: readonly NamedLora[]; readonly unused: readonly string[] }> {
  if (loras.length === 0) return { named: [], unused: [] }
  const readIndex = (file: string) => readSafetensorsIndex(file, { signal })
  const uses = await Promise.all(
    loras.map(async ({ file, scale }) => ({ lora: await openLora(file, { readIndex }), scale })),
  )
  const { patches, unused } = matchLoras(
    uses,
    new Map(networks.map(({ model }) => [model.place.component, model.checkpoint])),
  )
  for (const network of networks) {
    const patch = patches.get(network.model.place.component)
    if (patch) network.patch(patch)
  }
  const named = await Promise.all(
    loras.map(async ({ file, scale }) => {
      const hash = await modelHash(path.dirname(file), [file], { signal })
      return { name: path.parse(file).name, hash, scale }
    }),
  )
  return { named, unused }
}
