/** What a caller may ask of a text-to-image pipeline, and the complete request it becomes. */

import { randomInt } from 'node:crypto'
import { findSampler } from '../samplers/registry'
import { SCHEDULE_NAMES, type ScheduleName } from '../samplers/schedules/request'
import { checkSeed } from '../tensor/philox'
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
import { MAX_PROMPT_CHARACTERS } from '../text/tokenizer'
import type { PipelineDefaults } from './defaults'

/** Where noise comes from: Philox, the same bits everywhere, or PyTorch's CPU generator, to compare with diffusers. */
export type Rng = 'philox' | 'torch-cpu'

/** Options of `generate`. What is left out comes from the model's folder. */
export interface GenerateOptions {
  /** What to draw. */
  readonly prompt: string
  /** What to stay away from; takes the place of the empty prompt in guidance. */
  readonly negativePrompt?: string
  /** Sampler steps, 1 to 1000. */
  readonly steps?: number
  /** Whole number from 0; picture i of `count` has the seed `seed + i`. @defaultValue random, and reported */
  readonly seed?: number | bigint
  /** How strongly the prompt is followed, 1 to 50; 1 switches guidance off and halves the work. */
  readonly guidance?: number
  /** Sampler by any of its names. */
  readonly sampler?: string
  /** How noise levels are placed. */
  readonly schedule?: ScheduleName
  /** Side of the picture in pixels. */
  readonly size?: number
  /** Number of pictures, 1 to 256. @defaultValue 1 */
  readonly count?: number
  readonly rng?: Rng
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
  readonly prompt: string
  readonly negativePrompt: string
  readonly steps: number
  readonly seed: bigint
  readonly guidance: number
  readonly sampler: string | undefined
  readonly schedule: ScheduleName | undefined
  readonly size: number
  readonly count: number
  readonly rng: Rng
  readonly metadata: 'none' | 'settings' | 'settings and prompts'
  /** Steps between previews; 0 is none. */
  readonly previewEvery: number
  readonly signal: AbortSignal | undefined
}

const GENERATE_NAMES = [
  'prompt',
  'negativePrompt',
  'steps',
  'seed',
  'guidance',
  'sampler',
  'schedule',
  'size',
  'count',
  'rng',
  'metadata',
  'signal',
] as const satisfies readonly (keyof GenerateOptions)[]

const MAX_STEPS = 1000
const MAX_GUIDANCE = 50
const MAX_COUNT = 256
const MAX_SIZE = 1024
const SIZE_MULTIPLE = 8

/**
 * Checks options and fills in what is left out.
 *
 * @param owner - `generate` or `stream`; only the latter knows `preview`.
 * @param options - as the caller gave them.
 * @param defaults - of the model.
 * @throws {@link EngineError} `unknown-option`, `invalid-option` or `unknown-sampler`, naming option, expected and got.
 */
export function resolveRequest(
  owner: 'generate' | 'stream',
  options: unknown,
  defaults: PipelineDefaults,
): GenerateRequest {
  const given = checkNames(owner, options, owner === 'stream' ? [...GENERATE_NAMES, 'preview'] : GENERATE_NAMES)
  const guidance = numberOption(given, 'guidance', 1, MAX_GUIDANCE) ?? defaults.guidance
  const count = integerOption(given, 'count', 1, MAX_COUNT) ?? 1
  const sampler = stringOption(given, 'sampler')
  if (sampler !== undefined) findSampler(sampler)
  return {
    prompt: readPrompt(given),
    negativePrompt: readNegativePrompt(given, guidance),
    steps: integerOption(given, 'steps', 1, MAX_STEPS) ?? defaults.steps,
    seed: readSeed(given, count),
    guidance,
    sampler,
    schedule: wordOption(given, 'schedule', SCHEDULE_NAMES),
    size: readSize(given, defaults),
    count,
    rng: wordOption(given, 'rng', ['philox', 'torch-cpu']) ?? 'philox',
    metadata: readMetadataOption(given),
    previewEvery: readPreview(given),
    signal: signalOption(given),
  }
}

function readPrompt(given: GivenOptions): string {
  const prompt = stringOption(given, 'prompt')
  if (prompt === undefined || prompt.trim() === '') {
    throw invalidOption('prompt', 'words that say what to draw', prompt ?? 'none')
  }
  checkLength('prompt', prompt)
  return prompt
}

function readNegativePrompt(given: GivenOptions, guidance: number): string {
  const prompt = stringOption(given, 'negativePrompt')
  if (prompt === undefined) return ''
  if (guidance === 1) throw invalidOption('negativePrompt', 'none with guidance 1, which never looks at it', prompt)
  checkLength('negativePrompt', prompt)
  return prompt
}

function checkLength(option: string, prompt: string): void {
  if (prompt.length <= MAX_PROMPT_CHARACTERS) return
  throw invalidOption(option, `at most ${MAX_PROMPT_CHARACTERS} characters`, `${prompt.length} characters`)
}

/** A seed for requests without one: any number of pictures can count up from it and stay below 2^32. */
export function randomSeed(): number {
  return randomInt(2 ** 32 - MAX_COUNT)
}

/** The seed of the first picture; the last one's must still be a seed of the kind that was given. */
function readSeed(given: GivenOptions, count: number): bigint {
  const { seed } = given
  if (seed === undefined) return BigInt(randomSeed())
  if (typeof seed !== 'number' && typeof seed !== 'bigint') throw invalidOption('seed', 'a whole number', seed)
  const first = checkSeed(seed)
  checkSeed(typeof seed === 'bigint' ? seed + BigInt(count - 1) : seed + (count - 1))
  return first
}

function readSize(given: GivenOptions, defaults: PipelineDefaults): number {
  const { nativeSize, upscale } = defaults
  const size = given.size === undefined ? defaults.size : given.size
  if (upscale === 1) {
    if (size === nativeSize) return nativeSize
    throw invalidOption('size', `${nativeSize}, the only size of a model without an upscaler`, size)
  }
  const fits =
    typeof size === 'number' &&
    size >= nativeSize &&
    size <= Math.max(MAX_SIZE, nativeSize) &&
    size % SIZE_MULTIPLE === 0
  if (fits) return size
  throw invalidOption('size', `a multiple of ${SIZE_MULTIPLE} from ${nativeSize} to ${MAX_SIZE}`, size)
}

function readMetadataOption(given: GivenOptions): GenerateRequest['metadata'] {
  const { metadata = true } = given
  if (metadata === false) return 'none'
  if (metadata === true) return 'settings'
  const { prompt = false } = checkNames('metadata', metadata, ['prompt'])
  if (typeof prompt !== 'boolean') throw invalidOption('metadata.prompt', 'true or false', prompt)
  return prompt ? 'settings and prompts' : 'settings'
}

function readPreview(given: GivenOptions): number {
  if (given.preview === undefined) return 0
  const preview = checkNames('preview', given.preview, ['every'])
  return integerOption(preview, 'every', 1, MAX_STEPS) ?? 1
}
