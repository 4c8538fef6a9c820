/** From a picture's metadata back to the options that make it again. */

import { EngineError } from '../errors'
import type { Provenance } from '../images/metadata'
import type { ImageInput } from '../images/readPicture'
import { show } from '../text/givenOptions'
import type { GenerateOptions } from './generateOptions'

/** The pictures a picture was made of, which its metadata has only hashes of. */
export interface GivenPictures {
  readonly init?: ImageInput
  readonly mask?: ImageInput
  readonly control?: readonly ImageInput[]
}

/**
 * Options with which `generate` of the same version, model and kind of device makes the same picture again, or all
 * pictures of a grid.
 *
 * The prompts are among them only when the picture's metadata has them (`metadata: { prompt: true }`).
 *
 * @param metadata - of an `Image`, or what `readMetadata` gave.
 * @param pictures - those it was made of, where it was made of any.
 *
 * @example
 * const metadata = await readMetadata('cat.png')
 * if (metadata) await pipe.generate({ prompt: 'a happy cat', ...optionsFromMetadata(metadata) })
 *
 * @throws {@link EngineError} `invalid-argument` when a value cannot have come from `generate`, or a picture that it was
 * made of is missing.
 */
export function optionsFromMetadata(
  metadata: Provenance,
  pictures: GivenPictures = {},
): Omit<GenerateOptions, 'prompt'> & { readonly prompt?: string } {
  if (typeof metadata !== 'object' || metadata === null) throw invalid('an object', metadata)
  const { seed, rng, sampler, schedule, steps, guidance, guidanceRescale, hires, upscale, tiling } = metadata
  const { prompt, negativePrompt, clipSkip, promptSyntax, guidanceInterval, samplerOptions, style } = metadata
  const { transparent, grid } = metadata
  return {
    seed: typeof seed === 'string' ? parseSeed(seed) : seed,
    rng,
    sampler,
    ...(samplerOptions === undefined ? {} : { samplerOptions }),
    ...(schedule === undefined ? {} : { schedule }),
    steps,
    guidance,
    ...(guidanceRescale === undefined ? {} : { guidanceRescale }),
    ...(guidanceInterval === undefined ? {} : { guidanceInterval }),
    ...(style === undefined ? {} : { style }),
    size: sizeOf(metadata.asked ?? metadata),
    ...pictureOptions(metadata, pictures),
    ...(hires === undefined ? {} : { hires }),
    ...(upscale === undefined ? {} : { upscale }),
    ...(transparent === undefined ? {} : { transparent }),
    ...(grid === undefined ? {} : { count: grid.count }),
    tiling: tiling ?? false,
    ...(clipSkip === undefined ? {} : { clipSkip }),
    ...(promptSyntax === undefined ? {} : { promptSyntax }),
    ...(prompt === undefined ? {} : { prompt, metadata: { prompt: true } }),
    ...(negativePrompt === undefined ? {} : { negativePrompt }),
  }
}

function sizeOf({ width, height }: { readonly width: number; readonly height: number }): GenerateOptions['size'] {
  const isSide = (side: unknown) => typeof side === 'number' && side > 0
  if (!isSide(width) || !isSide(height)) throw invalid('a width and a height', `${width}x${height}`)
  return width === height ? width : { width, height }
}

type PictureOptions = Pick<GenerateOptions, 'init' | 'strength' | 'mask' | 'maskBlur' | 'control'>

function pictureOptions({ init, mask, control }: Provenance, given: GivenPictures): PictureOptions {
  return {
    ...(init === undefined ? {} : { init: picture('init', given.init), strength: init.strength }),
    ...(mask === undefined ? {} : { mask: picture('mask', given.mask), maskBlur: mask.blur }),
    ...(control === undefined
      ? {}
      : {
          control: control.map(({ scale, interval }, i) => ({
            image: picture(`control[${i}]`, given.control?.[i]),
            scale,
            interval,
          })),
        }),
  }
}

function picture(name: string, given: ImageInput | undefined): ImageInput {
  if (given === undefined) throw invalid(`the picture it was made of as ${name}`, 'none')
  return given
}

function parseSeed(seed: string): bigint {
  if (/^\d{1,20}$/.test(seed)) return BigInt(seed)
  throw invalid('a seed of digits', seed)
}

function invalid(expected: string, got: unknown): EngineError {
  return new EngineError('invalid-argument', `optionsFromMetadata: expected ${expected}, got ${show(got)}`)
}
