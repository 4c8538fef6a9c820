/** Loading of pipelines. */

import { performance } from 'node:perf_hooks'
import { Device, type DeviceOptions, INSTRUCTIONS, openDevice } from '../bindings/device'
import type { LoadProgress } from '../bindings/deviceWeights'
import { QUANTIZATIONS, type Quantization } from '../compile/passes/quantize'
import { throwIfAborted } from '../errors'
import {
  checkNames,
  type GivenOptions,
  integerOption,
  invalidOption,
  signalOption,
  stringOption,
  wordOption,
} from '../text/givenOptions'
import { resolveModel } from './bundled'
import { publishLoad } from './diagnostics'
import type { ExtraPaths } from './extras'
import { type InversionOptions, readInversions } from './inversions'
import { loadModel } from './loadModel'
import { type Logger, tellLogger } from './logger'
import { type LoraOptions, readLoras } from './loras'
import { Pipeline } from './pipeline'

/** Number types networks run in. */
const DTYPES = ['f32', 'bf16', 'f16'] as const

export interface LoadPipelineOptions {
  /**
   * A backend's name, or a device that is open already (then shared, and not closed with the pipeline); `'reference'` is
   * the slow oracle. @defaultValue `'cpu'`
   */
  readonly device?: DeviceOptions['device'] | Device
  /** Number type of the networks; latents and guidance are always f32. @defaultValue the device's best */
  readonly dtype?: (typeof DTYPES)[number]
  /**
   * Fewer bits in all networks but upscalers; pictures change a little. `int8`: products over int8, weights with a scale
   * per output and activations as they come, where the device gains by it (not in text encoders); `int8-weights`: only
   * the weights are kept as int8, in half the memory of 16 bits (nor there); `bf16-weights`: float32 weights are kept as
   * bfloat16, and arithmetic stays float32. @defaultValue `'none'`
   */
  readonly quantize?: Quantization
  /** Kernel family of the cpu device. @defaultValue `'auto'`, the widest this machine runs */
  readonly instructions?: DeviceOptions['instructions']
  /** Threads; pictures do not depend on it. @defaultValue `'auto'`, all the process may use */
  readonly threads?: number | 'auto'
  /** Another autoencoder: a diffusers folder or a safetensors file. */
  readonly vae?: string
  /** LoRAs on the denoiser and the text encoders; see also `Pipeline.withLoras`. */
  readonly loras?: readonly LoraOptions[]
  /** Embeddings (textual inversion): words of prompts that stand for learned vectors. */
  readonly inversions?: readonly InversionOptions[]
  /** ControlNets, in the order in which requests give hints for them; those of the model's own folder come first. */
  readonly controlNets?: readonly string[]
  /** An upscaler for the option `upscale` of requests. */
  readonly upscaler?: string
  /** A tiny autoencoder (TAESD) of the model's latents, for `preview`. */
  readonly previewDecoder?: string
  readonly signal?: AbortSignal
  /** Called as weights arrive on the device. */
  readonly onProgress?: (progress: PipelineLoadProgress) => void
  readonly logger?: Logger
}

/** How far a component's weights are. */
export interface PipelineLoadProgress extends LoadProgress {
  readonly component: string
}

const NAMES = [
  'device',
  'dtype',
  'quantize',
  'instructions',
  'threads',
  'vae',
  'loras',
  'inversions',
  'controlNets',
  'upscaler',
  'previewDecoder',
  'signal',
  'onProgress',
  'logger',
] as const satisfies readonly (keyof LoadPipelineOptions)[]

/**
 * Loads a pipeline.
 *
 * @param model - a bundled model's name (`'emoji'`), a diffusers folder with `model_index.json`, a safetensors file with a
 * whole model, or the id of a model that `irodori pull` has put into the cache.
 * @returns the pipeline, ready to draw at its default size.
 *
 * @example
 * const pipe = await loadPipeline('emoji')
 * const { images } = await pipe.generate({ prompt: '赤いりんご' })
 *
 * @throws {@link EngineError} `unknown-option`, `invalid-option`, `missing-file`, `invalid-config`,
 * `invalid-safetensors`, `invalid-tokenizer`, `missing-tensor`, `shape-mismatch`, `unsupported-format`,
 * `unsupported-model`, `unavailable-device`, `unavailable-binding`, `out-of-memory`.
 * @throws AbortError when the signal fires.
 */
export async function loadPipeline(model: string, options: LoadPipelineOptions = {}): Promise<Pipeline> {
  const given = checkNames('loadPipeline', options, NAMES)
  const shared = given.device instanceof Device ? given.device : undefined
  const device = shared === undefined ? wordOption(given, 'device', ['cpu', 'reference']) : undefined
  const instructions = wordOption(given, 'instructions', INSTRUCTIONS)
  const dtype = wordOption(given, 'dtype', DTYPES)
  const quantize = wordOption(given, 'quantize', QUANTIZATIONS)
  const threads = given.threads === 'auto' ? undefined : integerOption(given, 'threads', 1, 1024)
  if (shared !== undefined && (instructions ?? given.threads) !== undefined) {
    const option = instructions === undefined ? 'threads' : 'instructions'
    throw invalidOption(option, 'nothing beside an open device', given[option])
  }
  const signal = signalOption(given)
  const { onProgress, logger } = options
  if (logger !== undefined && (typeof logger !== 'object' || logger === null)) {
    throw invalidOption('logger', 'an object with methods debug, info or warn', logger)
  }
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw invalidOption('onProgress', 'a function', onProgress)
  const extras = readExtras(given)
  const loras = readLoras(given.loras)
  const inversions = readInversions(given.inversions)
  throwIfAborted(signal)

  const { name, folder } = resolveModel(model)
  const started = performance.now()
  publishLoad({ model: name, phase: 'start' })
  try {
    const opened = shared ?? openDevice({ device, instructions, threads })
    const loaded = await loadModel(name, folder, opened, shared === undefined, {
      dtype,
      quantize,
      ...extras,
      loras,
      inversions,
      signal,
      onProgress: onProgress && ((component, progress) => onProgress({ component, ...progress })),
    })
    const pipeline = new Pipeline(loaded, logger)
    const durationMs = performance.now() - started
    const { unused } = loaded
    publishLoad({ model: name, phase: 'end', durationMs, unused })
    if (logger === undefined) return pipeline
    if (unused.length > 0) tellLogger(logger, 'warn', `unused tensors in ${name}: ${unused.length}`, { unused })
    tellLogger(logger, 'info', `loaded ${name}`, { ...pipeline.info, durationMs })
    return pipeline
  } catch (error) {
    publishLoad({ model: name, phase: 'error', durationMs: performance.now() - started, error })
    throw error
  }
}

function readExtras(given: GivenOptions): ExtraPaths {
  const { controlNets = [] } = given
  if (!Array.isArray(controlNets) || !controlNets.every((net) => typeof net === 'string' && net !== '')) {
    throw invalidOption('controlNets', 'a list of folders or files', controlNets)
  }
  return {
    vae: stringOption(given, 'vae'),
    controlNets,
    upscaler: stringOption(given, 'upscaler'),
    previewDecoder: stringOption(given, 'previewDecoder'),
  }
}
