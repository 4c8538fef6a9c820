/** Which pictures a request draws: its prompts, negative prompts and seeds, one of each for every picture. */

import { randomInt } from 'node:crypto'
import { checkSeed } from '../tensor/philox'
import { type GivenOptions, integerOption, invalidOption } from '../text/givenOptions'
import { MAX_PROMPT_CHARACTERS } from '../text/tokenizer'
import type { PromptPair } from './conditioning'

const MAX_COUNT = 256

/** One picture of a request. */
export interface PictureRequest extends PromptPair {
  readonly seed: bigint
}

/**
 * Pictures in the order of results: all of the first prompt, then all of the second.
 *
 * @param given - options of `generate`.
 * @param unguided - without guidance nothing looks at a negative prompt, and it is refused.
 * @throws {@link EngineError} `invalid-option`.
 */
export function readPictures(given: GivenOptions, unguided: boolean): PictureRequest[] {
  const prompts = readPrompts(given)
  const count = integerOption(given, 'count', 1, MAX_COUNT) ?? 1
  if (prompts.length * count > MAX_COUNT) {
    throw invalidOption('count', `at most ${MAX_COUNT} pictures in all`, `${prompts.length} prompts times ${count}`)
  }
  const negatives = readNegativePrompts(given, unguided, prompts.length)
  const seeds = readSeeds(given, prompts.length, count)
  return prompts.flatMap((prompt, i) =>
    Array.from({ length: count }, (_, j) => ({
      prompt,
      negativePrompt: negatives[i],
      seed: seeds[i * count + j] ?? 0n,
    })),
  )
}

function readPrompts({ prompt }: GivenOptions): readonly string[] {
  if (Array.isArray(prompt) && prompt.length === 0)
    throw invalidOption('prompt', 'at least one prompt', 'an empty list')
  if (!Array.isArray(prompt)) return [readPrompt('prompt', prompt)]
  return prompt.map((one: unknown, i) => readPrompt(`prompt[${i}]`, one))
}

function readPrompt(option: string, prompt: unknown): string {
  if (prompt !== undefined && typeof prompt !== 'string') throw invalidOption(option, 'a string', prompt)
  if (prompt === undefined || prompt.trim() === '') {
    throw invalidOption(option, 'words that say what to draw', prompt ?? 'none')
  }
  checkLength(option, prompt)
  return prompt
}

function readNegativePrompts(given: GivenOptions, unguided: boolean, prompts: number): readonly (string | undefined)[] {
  const { negativePrompt } = given
  if (negativePrompt === undefined) return []
  if (unguided) {
    throw invalidOption('negativePrompt', 'none with guidance 1, which never looks at it', negativePrompt)
  }
  const list: readonly unknown[] = Array.isArray(negativePrompt) ? negativePrompt : Array(prompts).fill(negativePrompt)
  if (list.length !== prompts) {
    throw invalidOption('negativePrompt', `one, or one for each of ${prompts} prompts`, `${list.length} of them`)
  }
  return list.map((one, i) => {
    const option = Array.isArray(negativePrompt) ? `negativePrompt[${i}]` : 'negativePrompt'
    if (typeof one !== 'string') throw invalidOption(option, 'a string', one)
    checkLength(option, one)
    return one
  })
}

function checkLength(option: string, prompt: string): void {
  if (prompt.length <= MAX_PROMPT_CHARACTERS) return
  throw invalidOption(option, `at most ${MAX_PROMPT_CHARACTERS} characters`, `${prompt.length} characters`)
}

/** A seed for requests without one: any number of pictures can count up from it and stay below 2^32. */
export function randomSeed(): number {
  return randomInt(2 ** 32 - MAX_COUNT)
}

/** Seeds of all pictures; each must be a seed of the kind that was given. */
function readSeeds({ seed = randomSeed() }: GivenOptions, prompts: number, count: number): bigint[] {
  if (!Array.isArray(seed)) return countUp('seed', seed, prompts * count)
  if (seed.length !== prompts) {
    throw invalidOption('seed', `one, or one for each of ${prompts} prompts`, `${seed.length} of them`)
  }
  return seed.flatMap((one: unknown, i) => countUp(`seed[${i}]`, one, count))
}

function countUp(option: string, seed: unknown, count: number): bigint[] {
  if (typeof seed !== 'number' && typeof seed !== 'bigint') throw invalidOption(option, 'a whole number', seed)
  const first = checkSeed(seed)
  checkSeed(typeof seed === 'bigint' ? seed + BigInt(count - 1) : seed + (count - 1))
  return Array.from({ length: count }, (_, i) => first + BigInt(i))
}
