/** Sizes of pictures: which a model can draw, and what is drawn and enlarged for the one asked for. */

import { invalidOption } from '../text/givenOptions'

/** Pixels. */
export interface PixelSize {
  readonly width: number
  readonly height: number
}

/** Which sizes a model has. */
export interface SizeRules {
  /** Side of what it draws when nothing is asked for, before any enlarging. */
  readonly native: number
  /** Sides it draws are multiples of this; `undefined` when it draws squares of the native side alone. */
  readonly multiple: number | undefined
  /** How many times larger one pass of the upscaler makes a picture; 1 without one. */
  readonly upscale: number
}

/** Largest side of a picture that a model draws itself. */
const MAX_DRAWN = 4096
/** Sides that squares of a fixed size are shrunk and enlarged to, and what they are multiples of. */
const MIN_RESIZED = 16
const MAX_RESIZED = 1024
const RESIZED_MULTIPLE = 8

/**
 * The size asked for.
 *
 * @param value - a side, or `{ width, height }`.
 * @throws {@link EngineError} `invalid-option` when it is no size or the model has no such.
 */
export function checkSize(value: unknown, rules: SizeRules): PixelSize {
  const { width, height } = isSides(value) ? value : { width: value, height: value }
  if (rules.multiple === undefined) return { width: resizedSide(width, height, value, rules), height: Number(height) }
  const { multiple } = rules
  const fits = (side: unknown): side is number =>
    typeof side === 'number' && side >= multiple && side <= MAX_DRAWN && side % multiple === 0
  if (fits(width) && fits(height)) return { width, height }
  const bad = fits(width) ? height : width
  throw invalidOption('size', `multiples of ${multiple} from ${multiple} to ${MAX_DRAWN}`, bad)
}

function isSides(value: unknown): value is { readonly width: unknown; readonly height: unknown } {
  return typeof value === 'object' && value !== null && 'width' in value && 'height' in value
}

function resizedSide(width: unknown, height: unknown, value: unknown, { native, upscale }: SizeRules): number {
  if (upscale === 1) {
    if (width === native && height === native) return native
    throw invalidOption('size', `${native}, the only size of a model without an upscaler`, value)
  }
  const fits =
    typeof width === 'number' &&
    width === height &&
    width >= MIN_RESIZED &&
    width <= Math.max(MAX_RESIZED, native) &&
    width % RESIZED_MULTIPLE === 0
  if (fits) return width
  throw invalidOption('size', `a multiple of ${RESIZED_MULTIPLE} from ${MIN_RESIZED} to ${MAX_RESIZED}`, value)
}

/** The size nearest to a given picture's that the model draws: sides cut to multiples. */
export function sizeLike({ width, height }: PixelSize, rules: SizeRules, otherwise: PixelSize): PixelSize {
  const { multiple } = rules
  if (multiple === undefined) return otherwise
  const cut = (side: number) => Math.min(MAX_DRAWN, Math.max(multiple, Math.floor(side / multiple) * multiple))
  return { width: cut(width), height: cut(height) }
}

/** What the denoiser draws for pictures of a size. */
export function drawnSize(size: PixelSize, { native, multiple }: SizeRules): PixelSize {
  return multiple === undefined ? { width: native, height: native } : size
}

/** The size of finished pictures: the one asked for, or what was drawn in two passes, times `upscale`. */
export function finalSize(
  asked: PixelSize,
  drawn: PixelSize,
  { upscale }: { readonly upscale: number },
  { multiple }: SizeRules,
): PixelSize {
  if (multiple === undefined) return asked
  return { width: Math.round(drawn.width * upscale), height: Math.round(drawn.height * upscale) }
}

/** How often the upscaler must run to get from one size to another. */
export function upscalerPasses(from: PixelSize, to: PixelSize, { upscale }: SizeRules): number {
  if (upscale === 1) return 0
  let passes = 0
  for (let side = from.width; side < to.width; side *= upscale) passes++
  return passes
}

/** Cells of a latent. */
export function cellsOf({ width, height }: PixelSize, pixelsPerCell: number): PixelSize {
  return { width: width / pixelsPerCell, height: height / pixelsPerCell }
}

/** A size in messages: `512x768`. */
export function showSize({ width, height }: PixelSize): string {
  return `${width}x${height}`
}
