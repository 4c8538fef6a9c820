/** Stable Diffusion 1, 2 and XL: a UNet over latents, CLIP text in windows, pictures of any size. */

import { EngineError } from '../../errors'
import { loadClipTokenizer, publishedClipTokenizer } from '../../text/clipTokenizer'
import { negativeIsZeros, sizeConditions, type TextFamily } from '../../text/textOutputs'
import type { TextualInversion } from '../../text/textualInversion'
import { type JsonFields, jsonFields } from '../../weights/jsonFields'
import type { PipelineNetwork } from '../network'
import type { PixelSize } from '../sizes'
import { type ClipEncoder, loadEncoders, windowedReader } from '../windowedText'
import type { Family, FamilyParts, ModelSource } from './family'

/** What a family is given where nothing says otherwise: the defaults of diffusers' pipelines. */
const PRESETS = {
  sd: { steps: 50, guidance: 7.5, textEncoders: ['text_encoder'] },
  sdxl: { steps: 50, guidance: 5, textEncoders: ['text_encoder', 'text_encoder_2'] },
  lcm: { steps: 4, guidance: 8.5 },
} as const

const TEXT_CLASSES = ['CLIPTextModel', 'CLIPTextModelWithProjection']

/** Numbers of `time_ids`: SDXL's base model is told of three pairs, its refiner of two and a score. */
const SDXL_IDS = 6

export const stableDiffusion: Family = {
  pipelineClasses: [
    'StableDiffusionPipeline',
    'StableDiffusionImg2ImgPipeline',
    'StableDiffusionInpaintPipeline',
    'StableDiffusionControlNetPipeline',
    'StableDiffusionControlNetImg2ImgPipeline',
    'StableDiffusionControlNetInpaintPipeline',
    'StableDiffusionXLPipeline',
    'StableDiffusionXLImg2ImgPipeline',
    'StableDiffusionXLInpaintPipeline',
    'StableDiffusionXLControlNetPipeline',
    'LatentConsistencyModelPipeline',
    'LatentConsistencyModelImg2ImgPipeline',
  ],
  async open(source) {
    const network = await source.open('unet', ['UNet2DConditionModel'])
    const fields = jsonFields(network.model.config, network.model.place.configFile ?? 'unet')
    const family = textFamily(network, fields)
    const preset = PRESETS[family]
    const encoders: PipelineNetwork[] = []
    for (const name of preset.textEncoders) encoders.push(await source.open(name, TEXT_CLASSES))
    checkTextWidth(network, fields, encoders)
    const channels = fields.integer('out_channels', { default: 4, min: 1 })
    const given = fields.integer('in_channels', { default: 4, min: 1 })
    if (given !== channels && given !== 2 * channels + 1) {
      fields.fail('in_channels', `out_channels, ${channels}, or those, a mask and as many`, given)
    }
    const guidanceWidth = lastAxis(network, 'timestep_cond')
    const { steps, guidance } = guidanceWidth === undefined ? preset : PRESETS.lcm
    return {
      denoiser: {
        network,
        latentInput: 'sample',
        channels,
        conditions: (size, scale) => conditions(size, scale, guidanceWidth),
      },
      cells: sampleSize(fields),
      fixedSize: false,
      textLength: 231,
      readsMask: given !== channels,
      windows: true,
      textWidths: encoders.map(widthOf),
      embedsGuidance: guidanceWidth !== undefined,
      latentScale: 0.18215,
      steps,
      guidance,
      files: [],
      reader: (_settings, signal, inversions) => openReader(source, family, encoders, inversions, signal),
    }
  },
}

function textFamily(network: PipelineNetwork, fields: JsonFields): Exclude<TextFamily, 'sdxl-refiner'> {
  const ids = lastAxis(network, 'time_ids')
  if (ids === undefined) return 'sd'
  if (ids === SDXL_IDS) return 'sdxl'
  const message = `${fields.where}: expected the base model of SDXL, which is told ${SDXL_IDS} numbers, got one told ${ids}`
  throw new EngineError('unsupported-model', message, { expected: SDXL_IDS, got: ids })
}

/** The UNet must read what the text encoders give, side by side. */
function checkTextWidth(network: PipelineNetwork, fields: JsonFields, encoders: readonly PipelineNetwork[]): void {
  const width = encoders.reduce((sum, encoder) => sum + widthOf(encoder), 0)
  const read = lastAxis(network, 'encoder_hidden_states')
  if (read !== width) fields.fail('cross_attention_dim', `${width}, the width of the text encoders`, read)
}

function lastAxis({ model }: PipelineNetwork, input: string): number | undefined {
  const axis = model.ports.inputs.find((port) => port.input === input)?.axes.at(-1)
  return typeof axis === 'number' ? axis : undefined
}

const encoderFields = ({ model }: PipelineNetwork) => jsonFields(model.config, model.place.configFile ?? model.name)
const widthOf = (encoder: PipelineNetwork) => encoderFields(encoder).integer('hidden_size', { default: 512 })

/** Cells of the side that is drawn when nothing is asked for. */
function sampleSize(fields: JsonFields): number {
  return fields.integerOrNull('sample_size', { default: 64, min: 1 }) ?? 64
}

/** What SDXL is told of sizes, and what networks are told that embed the guidance scale; others have no such inputs. */
function conditions(
  { width, height }: PixelSize,
  guidance: number,
  guidanceWidth: number | undefined,
): Readonly<Record<string, Float32Array>> {
  return {
    time_ids: sizeConditions([height, width], [0, 0], [height, width]),
    ...(guidanceWidth === undefined ? {} : { timestep_cond: guidanceEmbedding(guidance, guidanceWidth) }),
  }
}

/**
 * The guidance scale as LCM reads it (Luo et al. 2023, arXiv:2310.04378, section 4.2; frequencies as diffusers has them):
 * sin and cos of 1000 (w - 1) 10000^(-i / (half - 1)).
 *
 * @returns shape [width]
 */
export function guidanceEmbedding(scale: number, width: number): Float32Array {
  const half = Math.floor(width / 2)
  const embedding = new Float32Array(width) // an odd last place stays 0
  for (let i = 0; i < half; i++) {
    const angle = Math.fround(1000 * (scale - 1)) * Math.fround(10000 ** (-i / (half - 1)))
    embedding[i] = Math.sin(angle)
    embedding[half + i] = Math.cos(angle)
  }
  return embedding
}

async function openReader(
  source: ModelSource,
  family: TextFamily,
  networks: readonly PipelineNetwork[],
  inversions: readonly TextualInversion[],
  signal: AbortSignal | undefined,
): ReturnType<FamilyParts['reader']> {
  const told = networks.map((network) => {
    const fields = encoderFields(network)
    const width = fields.integer('hidden_size', { default: 512 })
    return { network, width, layers: fields.integer('num_hidden_layers', { default: 12 }) }
  })
  await loadEncoders(family, told, signal)
  // Tokenizers take this thread for tenths of a second: by now other threads have weights to pack meanwhile.
  const encoders: ClipEncoder[] = []
  for (const [i, encoder] of told.entries()) {
    encoders.push({ ...encoder, tokenizer: await openTokenizer(source, i === 0 ? 'tokenizer' : 'tokenizer_2', signal) })
  }
  const { settings } = source.description
  const zeros = (negative: string | undefined) => negativeIsZeros(family, negative, settings)
  return windowedReader({ family, encoders, inversions, zeros })
}

async function openTokenizer({ description }: ModelSource, name: string, signal: AbortSignal | undefined) {
  const found = description.tokenizers.get(name)
  if (found?.kind === 'folder') return loadClipTokenizer(found.folder, { signal })
  if (found?.kind === 'clip') return publishedClipTokenizer(found.padToken === 0 ? '!' : 'end', { signal })
  const message = `${description.path}: expected a folder ${name}, got none`
  throw new EngineError('missing-file', message, { file: description.path, name })
}
