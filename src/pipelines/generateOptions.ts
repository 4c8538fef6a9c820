/** What a caller may ask of a pipeline, and the complete request it becomes. */

import type { ImageInput } from '../images/readPicture'
import { findSampler, usesUncond } from '../samplers/registry'
import { findSchedule, type ScheduleName } from '../samplers/scheduleNames'
import {
  checkNames,
  type GivenOptions,
  integerOption,
  invalidOption,
  numberOption,
  signalOption,
  stringOption,
  wordOption,
} from '../text/givenOptions'
import { PROMPT_SYNTAXES, type PromptSyntax } from '../text/promptSyntax'
import { checkStyle, type Styles } from '../text/styles'
import type { TextOptions } from './conditioning'
import type { PipelineDefaults } from './defaults'
import type { Rng } from './latents'
import {
  type ControlOptions,
  type ControlRequest,
  type HiresOptions,
  type HiresRequest,
  type InitRequest,
  type PictureAbilities,
  readControls,
  readHires,
  readInit,
} from './pictureOptions'
import { type PictureRequest, readPictures } from './pictureRequests'
import { checkSize, type PixelSize, type SizeRules } from './sizes'
import { readTiling, type TilingOptions, type TilingRequest } from './tiling'

/** Options of `generate`. What is left out comes from the model's folder. */
export interface GenerateOptions {
  /** What to draw; of a list, every prompt gets `count` pictures, and all are made together. */
  readonly prompt: string | readonly string[]
  /** What to stay away from; takes the place of the empty prompt in guidance. One for all prompts, or one for each. */
  readonly negativePrompt?: string | readonly string[]
  /**
   * `weights` reads `(word:1.2)`, `[word]` and `BREAK` as the web UIs do, `plain` every character as it is. For families
   * that read prompts in windows. @defaultValue `weights`
   */
  readonly promptSyntax?: PromptSyntax
  /** Layers of the text encoders that are left out at the end, as in diffusers. @defaultValue 0 */
  readonly clipSkip?: number
  /** Sampler steps, 1 to 1000. */
  readonly steps?: number
  /**
   * Whole number from 0; pictures count up from it. A list has one for each prompt, from which that prompt's pictures
   * count up. @defaultValue random, and reported
   */
  readonly seed?: number | bigint | readonly (number | bigint)[]
  /** A style of the model by its name, put to every prompt in its language. */
  readonly style?: string
  /**
   * How strongly the prompt is followed, 1 to 50; 1 switches guidance off and halves the work. From 0 with CFG++ samplers,
   * whose scale is a share.
   */
  readonly guidance?: number
  /** Noise ratios (sigma / alpha), low and high, outside which guidance is off. @defaultValue everywhere */
  readonly guidanceInterval?: readonly [low: number, high: number]
  /** Share of guidance rescaling against over-exposure, 0 to 1. @defaultValue 0 */
  readonly guidanceRescale?: number
  /** Sampler by any of its names. */
  readonly sampler?: string
  /** Options of the sampler, such as `{ eta: 0.5 }`. @defaultValue the model's */
  readonly samplerOptions?: Readonly<Record<string, unknown>>
  /** How noise levels are placed, by any name of it: `karras`, `sgm_uniform`, ... */
  readonly schedule?: string
  /** Side of the picture in pixels, or both sides. @defaultValue the model's; of `init` where the model can draw it */
  readonly size?: number | PixelSize
  /** Number of pictures for each prompt; 256 at most in all. @defaultValue 1 */
  readonly count?: number
  /** A picture to start from; scaled to the size that is drawn. */
  readonly init?: ImageInput
  /** Share of the noise a run from `init` starts with, above 0, at most 1. @defaultValue 0.8; 1 with a mask */
  readonly strength?: number
  /** Where `init` is drawn anew: white is new, black is kept to the bit. Scaled as `init`. */
  readonly mask?: ImageInput
  /** Pixels (standard deviation) over which new and kept fade into one another. @defaultValue 4 */
  readonly maskBlur?: number
  /** Hints for the ControlNets the pipeline was loaded with, in their order. */
  readonly control?: readonly ControlOptions[]
  /** A second pass at a larger size. */
  readonly hires?: HiresOptions
  /** Enlarges the finished picture so many times with the model's upscaler. @defaultValue 1 */
  readonly upscale?: number
  /**
   * Cuts the picture out: four channels, the last one opacity, which the model's decoder gives and the upscaler enlarges
   * in passes of its own. Previews have three. @defaultValue false, the picture on white
   */
  readonly transparent?: boolean
  /** Whether the autoencoder works in tiles. @defaultValue where the whole picture would take too much of the memory there is */
  readonly tiling?: boolean | TilingOptions
  readonly rng?: Rng
  /** `latents` gives the denoiser's latents in place of pictures. @defaultValue `images` */
  readonly output?: 'images' | 'latents'
  /** `false` writes no metadata into files; `{ prompt: true }` adds the prompts. @defaultValue all but the prompts */
  readonly metadata?: boolean | { readonly prompt?: boolean }
  readonly signal?: AbortSignal
}

/** Options of `stream`. */
export interface StreamOptions extends GenerateOptions {
  /** Small pictures of what is to come, every so many steps. @defaultValue none */
  readonly preview?: { readonly every?: number }
}

/** A request with nothing left open. */
export interface GenerateRequest {
  /** In the order of results. */
  readonly pictures: readonly PictureRequest[]
  readonly text: TextOptions
  readonly steps: number
  /** One of the model's; its words are put to the prompts when they are read. */
  readonly style: string | undefined
  readonly guidance: number
  readonly guidanceRescale: number
  readonly guidanceInterval: readonly [low: number, high: number] | undefined
  readonly sampler: string | undefined
  readonly samplerOptions: Readonly<Record<string, unknown>> | undefined
  readonly schedule: ScheduleName | undefined
  /** `undefined` where the picture it starts from decides. */
  readonly size: PixelSize | undefined
  readonly init: InitRequest | undefined
  readonly control: readonly ControlRequest[]
  readonly hires: HiresRequest | undefined
  readonly upscale: number
  readonly transparent: boolean
  readonly tiling: TilingRequest
  readonly rng: Rng
  readonly output: 'images' | 'latents'
  readonly metadata: 'none' | 'settings' | 'settings and prompts'
  /** Steps between previews; 0 is none. */
  readonly previewEvery: number
  readonly signal: AbortSignal | undefined
}

/** What decides which options a model can honour. */
export interface RequestRules {
  readonly defaults: PipelineDefaults
  readonly sizes: SizeRules
  readonly abilities: ModelAbilities
  /** Styles by name, where the model has some. */
  readonly styles: Styles | undefined
}

export interface ModelAbilities extends PictureAbilities {
  /** Whether the denoiser is told the guidance scale, and so runs without a negative prompt. */
  readonly embedsGuidance: boolean
  /** Whether it decodes quickly enough to show pictures on the way. */
  readonly previews: boolean
  /** Whether its decoder gives opacity besides colours. */
  readonly opacity: boolean
  /** Whether its autoencoder can work in tiles. */
  readonly tiles: boolean
  /** Whether prompts are read in windows, with weights, and layers can be left out. */
  readonly windows: boolean
}

/** Names of the options of `generate`. */
const GENERATE_NAMES = [
  'prompt',
  'negativePrompt',
  'promptSyntax',
  'clipSkip',
  'steps',
  'seed',
  'style',
  'guidance',
  'guidanceRescale',
  'guidanceInterval',
  'sampler',
  'samplerOptions',
  'schedule',
  'size',
  'count',
  'init',
  'strength',
  'mask',
  'maskBlur',
  'control',
  'hires',
  'upscale',
  'transparent',
  'tiling',
  'rng',
  'output',
  'metadata',
  'signal',
] as const satisfies readonly (keyof GenerateOptions)[]

const MAX_STEPS = 1000
const MAX_GUIDANCE = 50
const MAX_UPSCALE = 16

/**
 * Checks options and fills in what is left out.
 *
 * @param owner - `generate` or `stream`; only the latter knows `preview`.
 * @param options - as the caller gave them.
 * @param rules - of the model.
 * @throws {@link EngineError} `unknown-option`, `invalid-option` or `unknown-sampler`, naming option, expected and got.
 */
export function resolveRequest(owner: 'generate' | 'stream', options: unknown, rules: RequestRules): GenerateRequest {
  const { defaults, sizes, abilities, styles } = rules
  const given = checkNames(owner, options, owner === 'stream' ? [...GENERATE_NAMES, 'preview'] : GENERATE_NAMES)
  const steps = integerOption(given, 'steps', 1, MAX_STEPS) ?? defaults.steps
  const sampler = stringOption(given, 'sampler')
  const share = sampler !== undefined && usesUncond(findSampler(sampler).name)
  const guidance = numberOption(given, 'guidance', share ? 0 : 1, MAX_GUIDANCE) ?? (share ? 1 : defaults.guidance)
  const schedule = stringOption(given, 'schedule')
  const unguided = abilities.embedsGuidance || (guidance === 1 && !share)
  const init = readInit(given, abilities)
  const hires = readHires(given, steps, MAX_STEPS, abilities)
  if (hires && sizes.multiple === undefined)
    throw invalidOption('hires', 'nothing (the model has one size)', given.hires)
  const side = { width: defaults.size, height: defaults.size }
  const output = wordOption(given, 'output', ['images', 'latents']) ?? 'images'
  const request = {
    pictures: readPictures(given, unguided),
    text: readTextOptions(given, abilities),
    steps,
    style: readStyle(given, styles),
    guidance,
    guidanceRescale: readRescale(given, unguided),
    guidanceInterval: readInterval(given, unguided),
    sampler,
    samplerOptions: readSamplerOptions(given),
    schedule: schedule === undefined ? undefined : findSchedule(schedule),
    size: given.size === undefined ? (init && sizes.multiple ? undefined : side) : checkSize(given.size, sizes),
    init,
    control: readControls(given, abilities),
    hires,
    upscale: readUpscale(given, sizes),
    transparent: readTransparent(given, rules),
    tiling: readTiling(given, abilities),
    rng: wordOption(given, 'rng', ['philox', 'torch-cpu']) ?? ('philox' as const),
    output,
    metadata: readMetadataOption(given),
    previewEvery: readPreview(given, abilities),
    signal: signalOption(given),
  }
  if (output === 'latents') rejectPictureOptions(given)
  return request
}

/** What has no effect where no picture is made of the latents. */
function rejectPictureOptions(given: GivenOptions): void {
  for (const option of ['upscale', 'transparent', 'maskBlur', 'metadata'] as const) {
    if (given[option] !== undefined) throw invalidOption(option, 'nothing with output latents', given[option])
  }
}

function readStyle(given: GivenOptions, styles: Styles | undefined): string | undefined {
  const style = stringOption(given, 'style')
  if (style === undefined) return undefined
  if (styles === undefined) throw invalidOption('style', 'nothing (the model has no styles by name)', style)
  checkStyle(styles, style)
  return style
}

const MAX_CLIP_SKIP = 30

function readTextOptions(given: GivenOptions, { windows }: ModelAbilities): TextOptions {
  for (const option of ['promptSyntax', 'clipSkip']) {
    if (!windows && given[option] !== undefined) {
      throw invalidOption(option, 'nothing (the model reads a prompt as it is)', given[option])
    }
  }
  return {
    syntax: wordOption(given, 'promptSyntax', PROMPT_SYNTAXES) ?? (windows ? 'weights' : 'plain'),
    clipSkip: integerOption(given, 'clipSkip', 0, MAX_CLIP_SKIP) ?? 0,
  }
}

function readRescale(given: GivenOptions, unguided: boolean): number {
  const rescale = numberOption(given, 'guidanceRescale', 0, 1)
  if (rescale === undefined) return 0
  if (unguided) throw invalidOption('guidanceRescale', 'nothing with guidance 1', rescale)
  return rescale
}

function readInterval(given: GivenOptions, unguided: boolean): readonly [low: number, high: number] | undefined {
  const { guidanceInterval: interval } = given
  if (interval === undefined) return undefined
  if (unguided) throw invalidOption('guidanceInterval', 'nothing with guidance 1', interval)
  if (Array.isArray(interval) && interval.length === 2) {
    const [low, high]: readonly unknown[] = interval
    if (typeof low === 'number' && typeof high === 'number' && low >= 0 && high >= low) return [low, high]
  }
  throw invalidOption('guidanceInterval', 'two noise ratios, 0 <= low <= high', interval)
}

/** What each sampler makes of them is checked when it is made. */
function readSamplerOptions({ samplerOptions }: GivenOptions): Readonly<Record<string, unknown>> | undefined {
  if (samplerOptions === undefined) return undefined
  if (typeof samplerOptions === 'object' && samplerOptions !== null && !Array.isArray(samplerOptions)) {
    return { ...samplerOptions }
  }
  throw invalidOption('samplerOptions', 'an object of options', samplerOptions)
}

function readUpscale(given: GivenOptions, { multiple, upscale }: SizeRules): number {
  const factor = numberOption(given, 'upscale', 1, MAX_UPSCALE)
  if (factor === undefined) return 1
  if (multiple === undefined) throw invalidOption('upscale', 'nothing (size decides for this model)', factor)
  if (upscale === 1) throw invalidOption('upscale', 'nothing (no upscaler was loaded)', factor)
  return factor
}

function readTransparent(given: GivenOptions, { abilities }: RequestRules): boolean {
  const { transparent = false } = given
  if (typeof transparent !== 'boolean') throw invalidOption('transparent', 'true or false', transparent)
  if (!transparent || abilities.opacity) return transparent
  const why = 'the decoder gives colours alone; one that gives opacity, out_channels 4, cuts pictures out'
  throw invalidOption('transparent', `false (${why})`, transparent)
}

function readMetadataOption(given: GivenOptions): GenerateRequest['metadata'] {
  const { metadata = true } = given
  if (metadata === false) return 'none'
  if (metadata === true) return 'settings'
  const { prompt = false } = checkNames('metadata', metadata, ['prompt'])
  if (typeof prompt !== 'boolean') throw invalidOption('metadata.prompt', 'true or false', prompt)
  return prompt ? 'settings and prompts' : 'settings'
}

function readPreview(given: GivenOptions, { previews }: ModelAbilities): number {
  if (given.preview === undefined) return 0
  if (!previews) throw invalidOption('preview', 'nothing (no previewDecoder was loaded)', given.preview)
  const preview = checkNames('preview', given.preview, ['every'])
  return integerOption(preview, 'every', 1, MAX_STEPS) ?? 1
}
