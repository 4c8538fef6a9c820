/** Networks that come with a model from elsewhere: another autoencoder, ControlNets, an upscaler, a decoder for previews. */

import path from 'node:path'
import { jsonFields } from '../weights/jsonFields'
import { modelHash } from './modelHash'
import type { PipelineNetwork } from './network'

/** Where they are: folders of diffusers, or safetensors files. */
export interface ExtraPaths {
  readonly vae: string | undefined
  readonly controlNets: readonly string[]
  readonly upscaler: string | undefined
  readonly previewDecoder: string | undefined
}

/** A ControlNet with the name that metadata knows it by. */
export interface NamedControlNet {
  readonly network: PipelineNetwork
  readonly name: string
}

/** Files of networks: configs and weights. */
export function filesOf(networks: readonly PipelineNetwork[]): string[] {
  const files = networks.flatMap(({ model, files }) => [
    ...(model.place.configFile ? [model.place.configFile] : []),
    ...files,
  ])
  return [...new Set(files)]
}

/** The start of a hash over a network's own files, the same wherever they are. */
export async function hashOf(network: PipelineNetwork, signal: AbortSignal | undefined): Promise<string> {
  const files = filesOf([network])
  const folder = path.dirname(files[0] ?? '.')
  return modelHash(folder, files, { signal })
}

/** The name of a ControlNet: its folder's or file's, and the start of its hash. */
export async function nameControlNet(
  network: PipelineNetwork,
  where: string,
  signal: AbortSignal | undefined,
): Promise<NamedControlNet> {
  return { network, name: `${path.parse(where).name} ${await hashOf(network, signal)}` }
}

/** Networks that enlarge pictures. */
export const UPSCALER_CLASSES: readonly string[] = ['SRVGGNetCompact']

/**
 * How many times larger an upscaler makes a picture.
 *
 * @throws {@link EngineError} `invalid-config` for other channels than those of pictures.
 */
export function upscalerFactor({ model }: PipelineNetwork): number {
  const fields = jsonFields(model.config, model.place.configFile ?? model.name)
  const channels = fields.integer('num_in_ch', { default: 3 })
  if (channels !== 3) fields.fail('num_in_ch', '3, the channels of a picture', channels)
  return fields.integer('upscale', { default: 4, min: 2, max: 8 })
}
