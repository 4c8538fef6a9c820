/** PixArt-α and Σ: a transformer over latents, a text encoder that is read once, pictures of one size. */

import { readdir } from 'node:fs/promises'
import path from 'node:path'
import { readLabels } from '../../text/labels'
import { indexLabels } from '../../text/nearestLabels'
import { unstyledPrompt } from '../../text/styles'
import { loadTokenizer } from '../../text/tokenizer'
import { jsonFields } from '../../weights/jsonFields'
import type { PipelineNetwork } from '../network'
import { paddedReader } from '../paddedText'
import type { PixelSize } from '../sizes'
import type { Family, FamilyParts } from './family'

export const pixart: Family = {
  pipelineClasses: ['PixArtAlphaPipeline', 'PixArtSigmaPipeline'],
  async open(source) {
    const text = await source.open('text_encoder', ['CLIPTextModel'])
    const network = await source.open('transformer', ['PixArtTransformer2DModel'])
    const textFields = fieldsOf(text)
    const denoiser = fieldsOf(network)
    const cells = denoiser.integer('sample_size', { default: 128, min: 1 })
    const channels = denoiser.integer('in_channels', { default: 4, min: 1 })
    const outChannels = denoiser.integerOrNull('out_channels', { default: 8 }) ?? channels // 8: the class's default
    if (outChannels !== channels && outChannels !== 2 * channels) {
      denoiser.fail('out_channels', `in_channels, ${channels}, or twice as many`, outChannels)
    }
    const read = network.model.ports.inputs.find(({ input }) => input === 'encoder_hidden_states')?.axes.at(-1)
    const hidden = textFields.integer('hidden_size', { default: 512 })
    if (read !== hidden) denoiser.fail('caption_channels', `${hidden}, the width of the text encoder`, read)
    const tokenizerFolder = path.join(source.description.path, 'tokenizer')
    return {
      denoiser: { network, latentInput: 'hidden_states', channels, conditions: sizeConditions },
      cells,
      fixedSize: true,
      textLength: textFields.integer('max_position_embeddings', { default: 77, min: 3 }),
      readsMask: false,
      windows: false,
      textWidths: [],
      embedsGuidance: false,
      latentScale: 1,
      steps: 20,
      guidance: 4.5,
      files: (await readdir(tokenizerFolder))
        .filter((file) => file.endsWith('.json'))
        .map((file) => path.join(tokenizerFolder, file)),
      reader: (settings, signal) => readerOf(text, tokenizerFolder, settings, signal),
    }
  },
}

async function readerOf(
  text: PipelineNetwork,
  tokenizerFolder: string,
  { textLength, labelsFile, styles }: Parameters<FamilyParts['reader']>[0],
  signal: AbortSignal | undefined,
): ReturnType<FamilyParts['reader']> {
  const tokenizer = await loadTokenizer(tokenizerFolder, { signal })
  const labels =
    labelsFile === undefined ? undefined : await indexLabels(await readLabels(labelsFile, { signal }), { signal })
  await text.load({ sizes: { textLength }, outputs: ['last_hidden_state'] }, signal)
  return paddedReader({
    tokenizer,
    textLength,
    labels,
    subject: (prompt) => (styles === undefined ? prompt : unstyledPrompt(styles, prompt)),
    encoder: (rows, stop) =>
      text.runOne(
        { textLength },
        'last_hidden_state',
        rows.map(({ ids, length }) => ({ inputs: { input_ids: ids, text_length: Int32Array.of(length) } })),
        stop,
      ),
    state: (hidden, length) => ({
      inputs: { encoder_hidden_states: hidden, encoder_length: Int32Array.of(length) },
      textLength,
    }),
  })
}

/**
 * What PixArt-α at 1024 pixels reads of the picture's size, as diffusers' PixArtAlphaPipeline gives it: [height, width]
 * in pixels, and height / width. Networks without `use_additional_conditions` have no such inputs.
 */
function sizeConditions({ width, height }: PixelSize): Readonly<Record<string, Float32Array>> {
  return { resolution: Float32Array.of(height, width), aspect_ratio: Float32Array.of(height / width) }
}

function fieldsOf({ model }: PipelineNetwork) {
  return jsonFields(model.config, model.place.configFile ?? model.name)
}
