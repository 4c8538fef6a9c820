/** Loads a text-to-image model from a diffusers folder: PixArt denoiser, CLIP text, TAESD decoder, optional upscaler. */

import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import type { NetworkState } from '../bindings'
import type { Device } from '../bindings/device'
import { EngineError } from '../errors'
import { clampUnit } from '../images/pixels'
import { parseSchedulerConfig } from '../samplers/schedules/config'
import { scheduleFromConfig } from '../samplers/schedules/fromConfig'
import { readLabels } from '../text/labels'
import { indexLabels } from '../text/nearestLabels'
import { loadTokenizer } from '../text/tokenizer'
import { type JsonFields, jsonFields } from '../weights/jsonFields'
import { openModelFolder } from '../weights/modelFolder'
import type { TextState } from './conditioning'
import { readDefaults } from './defaults'
import { modelHash } from './modelHash'
import { type NetworkOptions, PipelineNetwork } from './network'
import type { PipelineModel } from './pipeline'
import { upscalerPasses } from './upscale'

/** Pipelines of diffusers that this one stands for. */
const PIPELINE_CLASSES = ['PixArtAlphaPipeline', 'PixArtSigmaPipeline']

/**
 * Loads a model; the networks for its default size are compiled and packed when this resolves.
 *
 * @param device - to run on.
 * @param ownsDevice - whether the model disposes of it, also when loading fails.
 * @throws {@link EngineError} `unsupported-model` for another pipeline or networks; `missing-file`, `invalid-config`,
 * `invalid-safetensors`, `invalid-tokenizer` and what packing throws.
 */
export async function loadTextToImageModel(
  name: string,
  folder: string,
  device: Device,
  ownsDevice: boolean,
  options: NetworkOptions,
): Promise<PipelineModel> {
  const opened: PipelineNetwork[] = []
  const dispose = () => {
    for (const component of opened) component.dispose()
    if (ownsDevice) device.dispose()
  }
  try {
    await checkPipelineClass(folder)
    const open = async (component: string, className: string, output: string) => {
      const networks = await PipelineNetwork.open(device, folder, component, className, output, options)
      opened.push(networks)
      return networks
    }
    const text = await open('text_encoder', 'CLIPTextModel', 'last_hidden_state')
    const transformer = await open('transformer', 'PixArtTransformer2DModel', 'sample')
    const decoder = await open('vae.decoder', 'AutoencoderTiny', 'sample')
    const facts = readFacts(text, transformer, decoder)
    const defaults = await readDefaults(folder, facts)
    const upscaler =
      defaults.upscaler === undefined ? undefined : await open(defaults.upscaler, 'SRVGGNetCompact', 'sample')

    const { signal } = options
    const { cells, channels, outChannels } = facts
    const { textLength, nativeSize, upscale } = defaults
    const schedulerConfig = await readScheduler(folder)
    const tokenizer = await loadTokenizer(path.join(folder, 'tokenizer'), { signal })
    const labels =
      defaults.labelsFile === undefined
        ? undefined
        : await indexLabels(await readLabels(defaults.labelsFile, { signal }), { signal })
    const sized = sizeConditions(transformer, nativeSize)
    const denoiserSizes = { height: cells, width: cells, textLength }
    const decoderSizes = { height: cells, width: cells }
    const [hash] = await Promise.all([
      // Of irodori.json only this decides pictures: the rest are defaults, or names of files that are hashed.
      modelHash(folder, await decidingFiles(folder, opened), { signal, settings: { textLength } }),
      text.load({ textLength }, signal),
      transformer.load(denoiserSizes, signal),
      decoder.load(decoderSizes, signal),
    ])

    // Texts of requests under way, as the denoiser's network holds them.
    const prepared = new WeakMap<TextState, NetworkState>()
    const textInputs = ({ hidden, length }: TextState) => ({
      encoder_hidden_states: hidden,
      encoder_length: Int32Array.of(length),
      ...sized,
    })

    const loaded: PipelineModel = {
      name,
      hash,
      device: { backend: device.info.backend, arithmetic: device.info.arithmetic },
      dtype: options.dtype ?? device.capabilities.preferredDtype,
      threads: device.info.threads,
      unused: opened.flatMap(({ model }) => model.report.unused.map((tensor) => `${model.name}/${tensor}`)),
      defaults,
      schedulerConfig,
      latentSize: { channels, height: cells, width: cells },
      latentScaling: facts.scaling,
      reader: {
        tokenizer,
        textLength,
        labels,
        encoder: (rows, stop) =>
          text.run(
            { textLength },
            rows.map(({ ids, length }) => ({ inputs: { input_ids: ids, text_length: Int32Array.of(length) } })),
            stop,
          ),
      },
      async denoiser(rows, stop) {
        const outputs = await transformer.run(
          denoiserSizes,
          rows.map(({ latent, level, text }) => {
            const own = { hidden_states: latent, timestep: Float32Array.of(level.t) }
            const state = prepared.get(text)
            return state ? { state, inputs: own } : { inputs: { ...own, ...textInputs(text) } }
          }),
          stop,
        )
        return outChannels === channels ? outputs : outputs.map((output) => firstHalf(output, channels))
      },
      async prepare(times, texts, stop) {
        const lease = await transformer.lease(denoiserSizes, stop)
        const states = texts.map((text) => lease.network.state(textInputs(text)))
        const release = () => {
          for (const text of texts) prepared.delete(text)
          for (const state of states) state.dispose()
          lease[Symbol.dispose]()
        }
        try {
          const steps = times.map((t) => ({ timestep: Float32Array.of(t) }))
          const rows = states.flatMap((state, i) =>
            (i === 0 ? steps : steps.slice(0, 1)).map((inputs) => ({ state, inputs })),
          )
          await lease.network.prepare(rows, { signal: stop })
          for (const [i, text] of texts.entries()) {
            const state = states[i]
            if (state) prepared.set(text, state)
          }
          return { [Symbol.dispose]: release }
        } catch (error) {
          release()
          throw error
        }
      },
      async decode(latents, stop) {
        const rows = await decoder.run(
          decoderSizes,
          latents.map((latent) => ({ inputs: { latent } })),
          stop,
        )
        return rows.map((data) => ({ data: toUnit(data), width: nativeSize, height: nativeSize }))
      },
      upscale:
        upscaler === undefined
          ? undefined
          : async ({ data, width, height }, stop) => {
              const [larger] = await upscaler.run({ height, width }, [{ inputs: { sample: data } }], stop)
              return { data: larger ?? data, width: width * upscale, height: height * upscale }
            },
      memory() {
        const { packBytes, bufferBytes, arenaBytes } = device.memory()
        return { weightsBytes: packBytes, statesBytes: bufferBytes, arenaBytes }
      },
      dispose,
    }
    if (upscalerPasses(loaded, defaults.size) > 0)
      await upscaler?.load({ height: nativeSize, width: nativeSize }, signal)
    return loaded
  } catch (error) {
    dispose()
    throw error
  }
}

async function checkPipelineClass(folder: string): Promise<void> {
  const { className = 'no model_index.json' } = await openModelFolder(folder)
  if (PIPELINE_CLASSES.includes(className)) return
  const message = `${folder}: expected one of ${PIPELINE_CLASSES.join(', ')}, got ${className}`
  throw new EngineError('unsupported-model', message, { folder, expected: PIPELINE_CLASSES, got: className })
}

/** Sizes and scales in the components' configs, which the networks' own parsers have checked or will check. */
function readFacts(text: PipelineNetwork, transformer: PipelineNetwork, decoder: PipelineNetwork) {
  const textFields = fieldsOf(text)
  const denoiser = fieldsOf(transformer)
  const vae = fieldsOf(decoder)
  const cells = denoiser.integer('sample_size', { default: 128, min: 1 })
  const channels = denoiser.integer('in_channels', { default: 4, min: 1 })
  const outChannels = denoiser.integerOrNull('out_channels', { default: 8 }) ?? channels // 8: the class's default
  if (outChannels !== channels && outChannels !== 2 * channels) {
    denoiser.fail('out_channels', `in_channels, ${channels}, or twice as many`, outChannels)
  }
  const read = transformer.model.ports.inputs.find(({ input }) => input === 'encoder_hidden_states')?.axes.at(-1)
  const hidden = textFields.integer('hidden_size', { default: 512 })
  if (read !== hidden) denoiser.fail('caption_channels', `${hidden}, the width of the text encoder`, read)
  const latentChannels = vae.integer('latent_channels', { default: 4 })
  if (latentChannels !== channels) vae.fail('latent_channels', `${channels}, as the denoiser`, latentChannels)
  const stages = vae.integers('num_decoder_blocks', { default: [3, 3, 3, 1] }).length
  const factor = vae.integer('upsampling_scaling_factor', { default: 2, min: 1 })
  return {
    cells,
    channels,
    outChannels,
    nativeSize: cells * factor ** (stages - 1),
    textLength: textFields.integer('max_position_embeddings', { default: 77, min: 3 }),
    scaling: {
      scale: vae.number('scaling_factor', { default: 1, min: 1e-6 }),
      shift: vae.number('shift_factor', { default: 0 }),
    },
  }
}

/**
 * What PixArt-α at 1024 pixels reads of the picture's size, as diffusers' PixArtAlphaPipeline gives it: [height, width]
 * in pixels, and height / width. Nothing for networks without `use_additional_conditions`.
 */
function sizeConditions({ model }: PipelineNetwork, size: number): Readonly<Record<string, Float32Array>> {
  if (!model.ports.inputs.some(({ input }) => input === 'resolution')) return {}
  return { resolution: Float32Array.of(size, size), aspect_ratio: Float32Array.of(1) }
}

/** Without the learned variance: channels 0 to C - 1 of each cell. `[h, w, 2 C] -> [h, w, C]`. */
function firstHalf(output: Float32Array, channels: number): Float32Array {
  const means = new Float32Array(output.length / 2) // [h, w, C]
  for (let cell = 0; cell * channels < means.length; cell++) {
    const from = cell * 2 * channels
    means.set(output.subarray(from, from + channels), cell * channels)
  }
  return means
}

function fieldsOf({ model }: PipelineNetwork): JsonFields {
  return jsonFields(model.config, model.place.configFile ?? model.name)
}

/** The scheduler's config, tried once so that a bad one is told at loading. */
async function readScheduler(folder: string): Promise<unknown> {
  const file = path.join(folder, 'scheduler', 'scheduler_config.json')
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new EngineError('missing-file', `scheduler: expected ${file}, got no readable file`, { file, cause })
  })
  const config = parseSchedulerConfig(text)
  scheduleFromConfig(config, 2)
  return config
}

/** Every file that decides what pictures look like: configs, tokenizer and weights. */
async function decidingFiles(folder: string, components: readonly PipelineNetwork[]): Promise<string[]> {
  const tokenizer = (await readdir(path.join(folder, 'tokenizer'))).filter((file) => file.endsWith('.json'))
  return [
    ...tokenizer.map((file) => path.join(folder, 'tokenizer', file)),
    path.join(folder, 'scheduler', 'scheduler_config.json'),
    ...components.flatMap(({ model, files }) => [
      ...(model.place.configFile ? [model.place.configFile] : []),
      ...files,
    ]),
  ]
}

/** [-1, 1] to [0, 1], cut; in place. */
function toUnit(values: Float32Array): Float32Array {
  for (let i = 0; i < values.length; i++) values[i] = ((values[i] ?? 0) + 1) / 2
  return clampUnit(values)
}
