/** Loads a model of any family: its denoiser, text, autoencoder, schedule, defaults and upscaler, on one device. */

import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { Device } from '../bindings/device'
import { EngineError } from '../errors'
import { parseSchedulerConfig } from '../samplers/schedules/config'
import { scheduleFromConfig } from '../samplers/schedules/fromConfig'
import { jsonFields } from '../weights/jsonFields'
import { openModelFolder } from '../weights/modelFolder'
import { makeCodec } from './codec'
import { readSettings } from './defaults'
import { openSession } from './denoiser'
import { familyOf } from './families'
import type { ModelSource } from './families/family'
import type { PipelineModel } from './model'
import { modelHash } from './modelHash'
import { type NetworkOptions, PipelineNetwork } from './network'
import { type SizeRules, upscalerPasses } from './sizes'

const CODECS = ['AutoencoderTiny', 'AutoencoderKL']

/**
 * Loads a model; the networks for its default size are compiled and packed when this resolves.
 *
 * @param device - to run on.
 * @param ownsDevice - whether the model disposes of it, also when loading fails.
 * @throws {@link EngineError} `unsupported-model` for another pipeline or networks; `missing-file`, `invalid-config`,
 * `invalid-safetensors`, `invalid-tokenizer` and what packing throws.
 */
export async function loadModel(
  name: string,
  modelPath: string,
  device: Device,
  ownsDevice: boolean,
  options: NetworkOptions,
): Promise<PipelineModel> {
  const opened: PipelineNetwork[] = []
  const dispose = () => {
    for (const component of opened) component.dispose()
    if (ownsDevice) device.dispose()
  }
  const open = async (file: string, component: string, classNames: readonly string[]) => {
    const network = await PipelineNetwork.open(device, file, component, classNames, options)
    opened.push(network)
    return network
  }
  try {
    const { className, settings: indexed } = await openModelFolder(modelPath)
    const family = familyOf(className, modelPath)
    const source: ModelSource = {
      path: modelPath,
      settings: indexed,
      open: (component, classNames) => open(modelPath, component, classNames),
    }
    const parts = await family.open(source)
    const { signal } = options
    const { denoiser, cells, fixedSize } = parts
    const decoder = await source.open('vae.decoder', CODECS)
    const facts = codecFacts(decoder, denoiser.channels, parts.latentScale)
    const { pixelsPerCell, scaling } = facts
    const multiple = fixedSize ? undefined : pixelsPerCell
    const native = cells * pixelsPerCell
    const settings = await readSettings(modelPath, { ...parts, native, multiple })
    const sizes: SizeRules = { native, multiple, upscale: settings.upscale }
    const upscaler =
      settings.upscaler === undefined ? undefined : await source.open(settings.upscaler, ['SRVGGNetCompact'])
    const deciding = [...opened]
    const encoder = await openEncoder(source)
    const codec = makeCodec({ decoder, encoder, scaling, pixelsPerCell, tiles: !fixedSize })

    const scheduler = await readScheduler(modelPath)
    const { defaults, textLength } = settings
    const [hash, reader] = await Promise.all([
      // Of irodori.json only this decides pictures: the rest are defaults, or names of files that are hashed.
      modelHash(modelPath, [...parts.files, scheduler.file, ...filesOf(deciding)], {
        signal,
        settings: { textLength },
      }),
      parts.reader(settings, signal),
      denoiser.network.load({ sizes: { height: cells, width: cells, textLength }, outputs: ['sample'] }, signal),
      decoder.load({ sizes: { height: cells, width: cells }, outputs: ['sample'] }, signal),
    ])
    const loaded: PipelineModel = {
      name,
      hash,
      device: { backend: device.info.backend, arithmetic: device.info.arithmetic },
      dtype: options.dtype ?? device.capabilities.preferredDtype,
      threads: device.info.threads,
      unused: opened.flatMap(({ model }) => model.report.unused.map((tensor) => `${model.name}/${tensor}`)),
      defaults,
      sizes,
      abilities: {
        encodes: encoder !== undefined,
        readsMask: parts.readsMask,
        embedsGuidance: parts.embedsGuidance,
        controlNets: 0,
        previews: facts.isTiny,
        tiles: !fixedSize,
      },
      schedulerConfig: scheduler.config,
      latentChannels: denoiser.channels,
      pixelsPerCell,
      reader,
      controlNets: [],
      codec,
      preview: facts.isTiny ? codec : undefined,
      session: (plan, stop) => openSession({ ...denoiser, pixelsPerCell, controlNets: [] }, plan, stop),
      upscale: upscaler && upscaleWith(upscaler, settings.upscale),
      memory() {
        const { packBytes, bufferBytes, arenaBytes } = device.memory()
        return { weightsBytes: packBytes, statesBytes: bufferBytes, arenaBytes }
      },
      dispose,
    }
    const [drawn, shown] = [side(native), side(defaults.size)]
    if (upscalerPasses(drawn, shown, sizes) > 0) await upscaler?.load({ sizes: drawn, outputs: ['sample'] }, signal)
    return loaded
  } catch (error) {
    dispose()
    throw error
  }
}

const side = (pixels: number) => ({ width: pixels, height: pixels })

/** An autoencoder's scale and the growth of its latents, in its config, which its own parser has checked. */
function codecFacts({ model }: PipelineNetwork, channels: number, defaultScale: number) {
  const fields = jsonFields(model.config, model.place.configFile ?? model.name)
  const latentChannels = fields.integer('latent_channels', { default: 4 })
  if (latentChannels !== channels) fields.fail('latent_channels', `${channels}, as the denoiser`, latentChannels)
  const isTiny = model.definition.className === 'AutoencoderTiny'
  const stages = isTiny
    ? fields.integers('num_decoder_blocks', { default: [3, 3, 3, 1] })
    : fields.integers('block_out_channels', { default: [64] })
  const factor = isTiny ? fields.integer('upsampling_scaling_factor', { default: 2, min: 1 }) : 2
  return {
    isTiny,
    pixelsPerCell: factor ** (stages.length - 1),
    scaling: {
      scale: fields.number('scaling_factor', { default: isTiny ? 1 : defaultScale, min: 1e-6 }),
      shift: fields.numberOrNull('shift_factor', { default: 0 }) ?? 0,
    },
  }
}

/** The half that makes latents of pictures; `undefined` when the files lack it. */
async function openEncoder(source: ModelSource): Promise<PipelineNetwork | undefined> {
  return source.open('vae.encoder', CODECS).catch((error: unknown) => {
    if (error instanceof EngineError && error.code === 'missing-tensor') return undefined
    throw error
  })
}

function upscaleWith(network: PipelineNetwork, factor: number): PipelineModel['upscale'] {
  return async ({ data, width, height }, signal) => {
    const [larger] = await network.runOne({ height, width }, 'sample', [{ inputs: { sample: data } }], signal)
    return { data: larger ?? data, width: width * factor, height: height * factor }
  }
}

/** The scheduler's config, tried once so that a bad one is told at loading. */
async function readScheduler(folder: string): Promise<{ readonly config: unknown; readonly file: string }> {
  const file = path.join(folder, 'scheduler', 'scheduler_config.json')
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new EngineError('missing-file', `scheduler: expected ${file}, got no readable file`, { file, cause })
  })
  const config = parseSchedulerConfig(text)
  scheduleFromConfig(config, 2)
  return { config, file }
}

/** Configs and weights. */
function filesOf(networks: readonly PipelineNetwork[]): string[] {
  return networks.flatMap(({ model, files }) => [...(model.place.configFile ? [model.place.configFile] : []), ...files])
}
