/** Loads a model of any family with all that goes with it, on one device. */

import path from 'node:path'
import { readSafetensorsIndex } from '../bindings'
import type { Device } from '../bindings/device'
import { EngineError } from '../errors'
import { openModel } from '../weights'
import { openAutoencoder } from './autoencoder'
import { makeCodec } from './codec'
import type { NumberOptions } from './componentNetworks'
import { type FolderSettings, readSettings } from './defaults'
import { openSession } from './denoiser'
import {
  type ExtraPaths,
  filesOf,
  hashOf,
  type NamedControlNet,
  nameControlNet,
  UPSCALER_CLASSES,
  upscalerFactor,
} from './extras'
import { familyOf } from './families'
import type { ModelSource } from './families/family'
import { type InversionRequest, openInversions } from './inversions'
import { applyLoras, type LoraRequest } from './loras'
import type { PictureCodec, PipelineModel } from './model'
import { modelHash } from './modelHash'
import { type ModelScheduler, readScheduler } from './modelScheduler'
import { type NetworkOptions, PipelineNetwork } from './network'
import { type SizeRules, upscalerPasses } from './sizes'

export interface LoadModelOptions extends NetworkOptions, ExtraPaths {
  readonly loras: readonly LoraRequest[]
  readonly inversions: readonly InversionRequest[]
}

/**
 * Loads a model; the networks for its default size are compiled and packed when this resolves, those that only some
 * requests need when the first of them comes.
 *
 * @param modelPath - folder or file.
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
  options: LoadModelOptions,
): Promise<PipelineModel> {
  const opened: PipelineNetwork[] = []
  const dispose = () => {
    for (const component of opened) component.dispose()
    if (ownsDevice) device.dispose()
  }
  const openAt: OpenAt = async (where, component, classNames, numbers = options) => {
    const network = await PipelineNetwork.open(device, where, component, classNames, { ...options, ...numbers })
    opened.push(network)
    return network
  }
  try {
    const { signal } = options
    const description = await openModel(modelPath, { readIndex: (file) => readSafetensorsIndex(file, { signal }) })
    const family = familyOf(description.className, modelPath)
    const source: ModelSource = {
      description,
      open: (component, classNames) => openAt(modelPath, component, classNames),
    }
    const parts = await family.open(source)
    const { denoiser, cells, fixedSize } = parts
    const inversions = await openInversions(options.inversions, parts.textWidths, signal)
    const own = [...opened]
    const loras = await applyLoras(options.loras, own, signal)
    const { vae: vaePath = modelPath } = options
    const vae = await openAutoencoder(
      (component, classNames) => openAt(vaePath, component, classNames),
      denoiser.channels,
      parts.latentScale,
    )
    const { pixelsPerCell } = vae
    const multiple = fixedSize ? undefined : pixelsPerCell
    const native = cells * pixelsPerCell
    const settings = await readSettings(modelPath, { ...parts, native, multiple })
    const upscaler = await openUpscaler(openAt, modelPath, settings, options)
    const scheduler = await readScheduler(description)
    const deciding = [...own, ...(options.vae === undefined ? [vae.decoder] : [])]
    if (settings.upscaler !== undefined && upscaler !== undefined) deciding.push(upscaler)
    const controlNets = await openControlNets(openAt, [...description.components.keys()], modelPath, options)
    const factor = upscaler ? upscalerFactor(upscaler) : 1
    const sizes: SizeRules = { native, multiple, upscale: factor }
    const codec = makeCodec({ ...vae, tiles: !fixedSize })
    const preview = await openPreview(openAt, codec, vae.isTiny, denoiser.channels, options)

    const { defaults, textLength } = settings
    const decodedSize = multiple === undefined ? native : defaults.size
    const firstSize = { height: decodedSize / pixelsPerCell, width: decodedSize / pixelsPerCell }
    const [hash, reader] = await Promise.all([
      hashModel(modelPath, [...parts.files, ...filesOf(deciding)], scheduler, {
        textLength,
        vae: options.vae === undefined ? undefined : await hashOf(vae.decoder, signal),
        signal,
      }),
      parts.reader(
        settings,
        signal,
        inversions.map(({ inversion }) => inversion),
      ),
      denoiser.network.load({ sizes: { ...firstSize, textLength }, outputs: ['sample'] }, signal),
      vae.decoder.load({ sizes: firstSize, outputs: ['sample'] }, signal),
    ])
    const loaded: PipelineModel = {
      name,
      hash,
      device: { backend: device.info.backend, arithmetic: device.info.arithmetic },
      dtype: options.dtype ?? device.capabilities.preferredDtype,
      quantize: options.quantize ?? 'none',
      threads: device.info.threads,
      unused: [
        ...description.unused,
        ...loras.unused,
        ...opened.flatMap(({ model }) => model.report.unused.map((tensor) => `${model.name}/${tensor}`)),
      ],
      defaults,
      sizes,
      abilities: {
        encodes: vae.encoder !== undefined,
        readsMask: parts.readsMask,
        embedsGuidance: parts.embedsGuidance,
        controlNets: controlNets.length,
        previews: preview !== undefined,
        opacity: vae.opacity,
        tiles: !fixedSize,
        windows: parts.windows,
      },
      styles: settings.styles,
      provenance: settings.provenance,
      schedulerConfig: scheduler.config,
      latentChannels: denoiser.channels,
      pixelsPerCell,
      reader,
      controlNets: controlNets.map((net) => net.name),
      loras: loras.named,
      inversions: inversions.map(({ named }) => named),
      codec,
      preview,
      session: (plan, stop) =>
        openSession({ ...denoiser, pixelsPerCell, controlNets: controlNets.map(({ network }) => network) }, plan, stop),
      upscale: upscaler && upscaleWith(upscaler, factor),
      memory() {
        const { packBytes, bufferBytes, arenaBytes } = device.memory()
        return { weightsBytes: packBytes, statesBytes: bufferBytes, arenaBytes }
      },
      withLoras: (others, stop) =>
        loadModel(name, modelPath, device, false, { ...options, loras: others, signal: stop, onProgress: undefined }),
      dispose,
    }
    const [drawn, shown] = [side(decodedSize), side(defaults.size)]
    if (upscalerPasses(drawn, shown, sizes) > 0) await upscaler?.load({ sizes: drawn, outputs: ['sample'] }, signal)
    return loaded
  } catch (error) {
    dispose()
    throw error
  }
}

const side = (pixels: number) => ({ width: pixels, height: pixels })

type OpenAt = (
  where: string,
  component: string,
  classNames: readonly string[],
  numbers?: NumberOptions,
) => Promise<PipelineNetwork>

/** What it adds to a picture is most of what is seen, and int8 makes it no faster: an error of a quarter for nothing. */
const UPSCALER: NumberOptions = { quantize: 'none' }

/** The folder's own upscaler, or the one given. */
async function openUpscaler(
  open: OpenAt,
  modelPath: string,
  { upscaler }: FolderSettings,
  given: ExtraPaths,
): Promise<PipelineNetwork | undefined> {
  if (given.upscaler !== undefined) return open(given.upscaler, 'upscaler', UPSCALER_CLASSES, UPSCALER)
  return upscaler === undefined ? undefined : open(modelPath, upscaler, UPSCALER_CLASSES, UPSCALER)
}

/** ControlNets of the folder itself, and then those given. */
async function openControlNets(
  open: OpenAt,
  components: readonly string[],
  modelPath: string,
  { controlNets, signal }: ExtraPaths & NetworkOptions,
): Promise<NamedControlNet[]> {
  const named: NamedControlNet[] = []
  for (const component of components.filter((known) => /^controlnet(_\d+)?$/.test(known))) {
    named.push(await nameControlNet(await open(modelPath, component, ['ControlNetModel']), component, signal))
  }
  for (const where of controlNets) {
    named.push(await nameControlNet(await open(where, 'controlnet', ['ControlNetModel']), where, signal))
  }
  return named
}

/** What shows pictures on the way: the decoder given, or the model's own where it is a tiny one. */
async function openPreview(
  open: OpenAt,
  codec: PictureCodec,
  isTiny: boolean,
  channels: number,
  { previewDecoder }: ExtraPaths,
): Promise<PipelineModel['preview']> {
  if (previewDecoder === undefined) return isTiny ? codec : undefined
  const tiny = await openAutoencoder(
    async (component) => {
      if (component !== 'vae.decoder') throw new EngineError('unknown-component', 'only the decoder is of use')
      return open(previewDecoder, component, ['AutoencoderTiny'])
    },
    channels,
    1,
  )
  return makeCodec({ ...tiny, tiles: false })
}

function hashModel(
  modelPath: string,
  files: readonly string[],
  { config, file }: ModelScheduler,
  {
    signal,
    ...settings
  }: { readonly signal: AbortSignal | undefined; readonly textLength: number; readonly vae?: string | undefined },
): Promise<string> {
  const isFile = files.includes(modelPath)
  // Of irodori.json only the length decides pictures: the rest are defaults, or names of files that are hashed.
  return modelHash(isFile ? path.dirname(modelPath) : modelPath, [...files, ...(file === undefined ? [] : [file])], {
    signal,
    settings: { ...settings, ...(file === undefined ? { scheduler: config } : {}) },
  })
}

function upscaleWith(network: PipelineNetwork, factor: number): PipelineModel['upscale'] {
  return async ({ data, width, height }, signal) => {
    const [larger = data] = await network.runOne({ height, width }, 'sample', [{ inputs: { sample: data } }], signal)
    return { data: larger, width: width * factor, height: height * factor }
  }
}
