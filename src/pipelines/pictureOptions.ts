/** Options that bring pictures into a request: a start, a mask, hints for ControlNets, and a second pass. */

import { checkImageInput, type ImageInput } from '../images/readPicture'
import {
  checkNames,
  type GivenOptions,
  integerOption,
  invalidOption,
  numberOption,
  wordOption,
} from '../text/givenOptions'

/** A hint for a ControlNet: edges, depth, a pose. */
export interface ControlOptions {
  /** Scaled to the size of the picture that is drawn. */
  readonly image: ImageInput
  /** How strongly it is followed, 0 to 10. @defaultValue 1 */
  readonly scale?: number
  /** Share of the run in which it is followed, from 0 to 1. @defaultValue all of it */
  readonly interval?: readonly [start: number, end: number]
}

/** A second pass at a larger size, which keeps the composition of the first. */
export interface HiresOptions {
  /** How many times larger, above 1, at most 8; sides are cut to what the model draws. @defaultValue 2 */
  readonly scale?: number
  /** Share of the noise the second pass starts with, above 0, at most 1. @defaultValue 0.7 */
  readonly strength?: number
  /**
   * What is enlarged between the passes: `latent`, softly, which needs much strength; `picture`, through the decoder, the
   * upscaler where the model has one, and the encoder. @defaultValue `latent`
   */
  readonly enlarge?: 'latent' | 'picture'
  /** Steps of the second pass's schedule, of which strength is taken. @defaultValue those of the first */
  readonly steps?: number
}

/** What a model can do with pictures. */
export interface PictureAbilities {
  /** Whether it has an encoder. */
  readonly encodes: boolean
  /** Whether its denoiser reads the mask and what is around it, and so cannot do without. */
  readonly readsMask: boolean
  /** How many ControlNets were loaded with it. */
  readonly controlNets: number
}

/** A picture to start from. */
export interface InitRequest {
  readonly image: ImageInput
  readonly strength: number
  readonly mask: { readonly image: ImageInput; readonly blur: number } | undefined
}

export interface ControlRequest {
  readonly image: ImageInput
  readonly scale: number
  readonly interval: readonly [start: number, end: number]
}

export interface HiresRequest {
  readonly scale: number
  readonly strength: number
  readonly enlarge: 'latent' | 'picture'
  readonly steps: number
}

/** Most of its noise, but the picture still decides: what diffusers takes where nothing is said. */
const STRENGTH = 0.8
const MASK_BLUR = 4
const MAX_MASK_BLUR = 256
const MAX_CONTROL_SCALE = 10
const MAX_HIRES_SCALE = 8

/** Throws `invalid-option` and `unknown-option`, also for options that the model cannot honour. */
export function readInit(given: GivenOptions, abilities: PictureAbilities): InitRequest | undefined {
  const { init, mask } = given
  if (init === undefined) {
    for (const option of ['strength', 'mask', 'maskBlur']) {
      if (given[option] !== undefined) throw invalidOption(option, 'nothing without init', given[option])
    }
    if (abilities.readsMask) throw invalidOption('init', 'a picture, for the model fills in a part of one', 'none')
    return undefined
  }
  if (!abilities.encodes) throw invalidOption('init', 'nothing (the model has no encoder)', init)
  if (mask === undefined) {
    if (abilities.readsMask) throw invalidOption('mask', 'a mask, which the model reads', 'none')
    if (given.maskBlur !== undefined) throw invalidOption('maskBlur', 'nothing without a mask', given.maskBlur)
  }
  const masked =
    mask === undefined
      ? undefined
      : {
          image: checkImageInput('mask', mask),
          blur: numberOption(given, 'maskBlur', 0, MAX_MASK_BLUR) ?? MASK_BLUR,
        }
  const strength = readStrength(given) ?? (masked === undefined ? STRENGTH : 1)
  return { image: checkImageInput('init', init), strength, mask: masked }
}

function readStrength(given: GivenOptions): number | undefined {
  const strength = numberOption(given, 'strength', 0, 1)
  if (strength === 0) throw invalidOption('strength', 'a number above 0, at most 1', strength)
  return strength
}

/** Throws `invalid-option` and `unknown-option`. */
export function readControls({ control }: GivenOptions, { controlNets }: PictureAbilities): readonly ControlRequest[] {
  if (control === undefined) return []
  if (!Array.isArray(control)) throw invalidOption('control', 'a list of { image, scale, interval }', control)
  if (control.length > controlNets) {
    const loaded =
      controlNets === 0 ? 'none (no ControlNet was loaded)' : `at most ${controlNets}, one for each ControlNet`
    throw invalidOption('control', loaded, `${control.length} of them`)
  }
  return control.map((one: unknown, i) => {
    const given = checkNames(`control[${i}]`, one, ['image', 'scale', 'interval'])
    return {
      image: checkImageInput(`control[${i}].image`, given.image),
      scale: numberOption(given, 'scale', 0, MAX_CONTROL_SCALE) ?? 1,
      interval: readInterval(given, i),
    }
  })
}

function readInterval({ interval }: GivenOptions, index: number): readonly [number, number] {
  if (interval === undefined) return [0, 1]
  if (Array.isArray(interval) && interval.length === 2) {
    const [start, end]: readonly unknown[] = interval
    if (typeof start === 'number' && typeof end === 'number' && start >= 0 && start < end && end <= 1)
      return [start, end]
  }
  throw invalidOption(`control[${index}].interval`, '[start, end] with 0 <= start < end <= 1', interval)
}

/** Throws `invalid-option` and `unknown-option`. */
export function readHires(
  { hires }: GivenOptions,
  steps: number,
  maxSteps: number,
  { encodes }: PictureAbilities,
): HiresRequest | undefined {
  if (hires === undefined) return undefined
  const given = checkNames('hires', hires, ['scale', 'strength', 'enlarge', 'steps'])
  const scale = numberOption(given, 'scale', 1, MAX_HIRES_SCALE) ?? 2
  if (scale === 1) throw invalidOption('hires.scale', 'a number above 1', scale)
  const enlarge = wordOption(given, 'enlarge', ['latent', 'picture']) ?? 'latent'
  if (enlarge === 'picture' && !encodes)
    throw invalidOption('hires.enlarge', 'latent (the model has no encoder)', enlarge)
  return {
    scale,
    strength: readStrength(given) ?? 0.7,
    enlarge,
    steps: integerOption(given, 'steps', 1, maxSteps) ?? steps,
  }
}
