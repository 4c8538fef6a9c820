/**
 * From the decoder's picture to the size asked for: passes of the upscaler, then an exact resize where they overshoot.
 *
 * Upscalers with opacity give colours on white, as the decoder does: they are the picture, unless it is to be cut out.
 */

import { type Image, makeImage, resizeImage } from '../images/image'
import type { Provenance } from '../images/metadata'
import { cutOut } from '../images/opacity'
import { clampUnit, toBytes } from '../images/pixels'
import type { PipelineModel } from './model'
import type { EnlargedPicture, FloatPicture } from './picture'
import { type PixelSize, type SizeRules, upscalerPasses } from './sizes'

/** The picture a caller gets. */
export interface Finish {
  readonly size: PixelSize
  readonly transparent: boolean
  readonly metadata: Provenance | undefined
}

/** How often the upscaler must run; at least once for the opacity that only it knows. */
export function finishingPasses(
  drawn: PixelSize,
  { size, transparent }: Pick<Finish, 'size' | 'transparent'>,
  sizes: SizeRules,
): number {
  return Math.max(transparent ? 1 : 0, upscalerPasses(drawn, size, sizes))
}

/**
 * Makes the picture the caller gets.
 *
 * @param picture - from the decoder; values 0 to 1.
 * @param onPass - called after each pass.
 */
export async function finishPicture(
  { sizes, upscale }: Pick<PipelineModel, 'sizes' | 'upscale'>,
  picture: FloatPicture,
  finish: Finish,
  signal: AbortSignal,
  onPass: () => void,
): Promise<Image> {
  const passes = finishingPasses(picture, finish, sizes)
  let current: EnlargedPicture = picture
  for (let pass = 0; pass < passes; pass++) {
    if (pass > 0) clampUnit(current.data)
    current = (await upscale?.(current, signal)) ?? current
    onPass()
  }
  const { size, metadata } = finish
  return resizeImage(await imageOf(current, finish), size.width, size.height, metadata)
}

async function imageOf({ data, opacity, width, height }: EnlargedPicture, { transparent }: Finish): Promise<Image> {
  if (!transparent || opacity === undefined) return makeImage(await toBytes(data, 0, 1), width, height)
  return makeImage(await cutOut(data, opacity), width, height, undefined, 4)
}
