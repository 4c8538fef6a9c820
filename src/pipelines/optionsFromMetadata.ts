/** From a picture's metadata back to the options that make it again. */

import { EngineError } from '../errors'
import type { Provenance } from '../images/metadata'
import { show } from '../text/givenOptions'
import type { GenerateOptions } from './generateOptions'

/**
 * Options with which `generate` of the same version, model and kind of device makes the same picture again.
 *
 * The prompts are among them only when the picture's metadata has them (`metadata: { prompt: true }`).
 *
 * @param metadata - of an `Image`, or what `readMetadata` gave.
 *
 * @example
 * const metadata = await readMetadata('cat.png')
 * if (metadata) await pipe.generate({ prompt: 'a happy cat', ...optionsFromMetadata(metadata) })
 *
 * @throws {@link EngineError} `invalid-argument` when a value cannot have come from `generate`.
 */
export function optionsFromMetadata(
  metadata: Provenance,
): Omit<GenerateOptions, 'prompt'> & { readonly prompt?: string } {
  if (typeof metadata !== 'object' || metadata === null) throw invalid('an object', metadata)
  const { seed, rng, sampler, schedule, steps, guidance, width, height, prompt, negativePrompt } = metadata
  if (width !== height) throw invalid('a square picture', `${width}x${height}`)
  return {
    seed: typeof seed === 'string' ? parseSeed(seed) : seed,
    rng,
    sampler,
    ...(schedule === undefined ? {} : { schedule }),
    steps,
    guidance,
    size: width,
    ...(prompt === undefined ? {} : { prompt, metadata: { prompt: true } }),
    ...(negativePrompt === undefined ? {} : { negativePrompt }),
  }
}

function parseSeed(seed: string): bigint {
  if (/^\d{1,20}$/.test(seed)) return BigInt(seed)
  throw invalid('a seed of digits', seed)
}

function invalid(expected: string, got: unknown): EngineError {
  return new EngineError('invalid-argument', `optionsFromMetadata: expected ${expected}, got ${show(got)}`)
}
