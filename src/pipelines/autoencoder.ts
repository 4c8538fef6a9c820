/** The autoencoder of a model: its halves, its scale, and how much its latents grow. */

import { EngineError } from '../errors'
import { jsonFields } from '../weights/jsonFields'
import type { LatentScaling } from './latents'
import type { PipelineNetwork } from './network'

/** Classes that pipelines decode with. */
const CODECS = ['AutoencoderTiny', 'AutoencoderKL']

/** Opens a network of one of the classes. */
export type OpenNetwork = (component: string, classNames: readonly string[]) => Promise<PipelineNetwork>

export interface Autoencoder {
  readonly decoder: PipelineNetwork
  /** `undefined` when the files lack it. */
  readonly encoder: PipelineNetwork | undefined
  readonly isTiny: boolean
  /** Whether the decoder gives opacity besides colours. */
  readonly opacity: boolean
  readonly pixelsPerCell: number
  readonly scaling: LatentScaling
}

/**
 * Opens both halves.
 *
 * @param channels - of the denoiser's latents.
 * @param latentScale - where the config names none.
 * @throws {@link EngineError} `invalid-config` for latents of other channels, or pictures that are neither
 * colours nor colours and opacity; what opening the files throws.
 */
export async function openAutoencoder(open: OpenNetwork, channels: number, latentScale: number): Promise<Autoencoder> {
  const decoder = await open('vae.decoder', CODECS)
  const encoder = await open('vae.encoder', CODECS).catch((error: unknown) => {
    const isDecoderAlone = error instanceof EngineError && ['missing-tensor', 'unknown-component'].includes(error.code)
    if (isDecoderAlone) return undefined
    throw error
  })
  const { model } = decoder
  // The networks' own parsers have checked these fields.
  const fields = jsonFields(model.config, model.place.configFile ?? model.name)
  const latentChannels = fields.integer('latent_channels', { default: 4 })
  if (latentChannels !== channels) fields.fail('latent_channels', `${channels}, as the denoiser`, latentChannels)
  const pictureChannels = fields.integer('out_channels', { default: 3, min: 3, max: 4 })
  const isTiny = model.definition.className === 'AutoencoderTiny'
  const stages = isTiny
    ? fields.integers('num_decoder_blocks', { default: [3, 3, 3, 1] })
    : fields.integers('block_out_channels', { default: [64] })
  const factor = isTiny ? fields.integer('upsampling_scaling_factor', { default: 2, min: 1 }) : 2
  return {
    decoder,
    encoder,
    isTiny,
    opacity: pictureChannels === 4,
    pixelsPerCell: factor ** (stages.length - 1),
    scaling: {
      scale: fields.number('scaling_factor', { default: isTiny ? 1 : latentScale, min: 1e-6 }),
      shift: fields.numberOrNull('shift_factor', { default: 0 }) ?? 0,
    },
  }
}
