/** From the decoder's picture to the size asked for: passes of the upscaler, then an exact resize where they overshoot. */

import { type Image, makeImage, resizeImage } from '../images/image'
import type { Provenance } from '../images/metadata'
import { clampUnit, toBytes } from '../images/pixels'
import type { FloatPicture, TextToImageModel } from './model'

/** How often the upscaler must run for pictures of that side. */
export function upscalerPasses(model: Pick<TextToImageModel, 'defaults' | 'upscale'>, size: number): number {
  const { nativeSize, upscale } = model.defaults
  if (model.upscale === undefined) return 0
  let passes = 0
  for (let side = nativeSize; side < size; side *= upscale) passes++
  return passes
}

/**
 * Makes the picture the caller gets.
 *
 * @param picture - from the decoder; values 0 to 1.
 * @param size - side in pixels.
 * @param onPass - called after each pass.
 */
export async function finishPicture(
  model: TextToImageModel,
  picture: FloatPicture,
  size: number,
  metadata: Provenance | undefined,
  signal: AbortSignal,
  onPass: () => void,
): Promise<Image> {
  const passes = upscalerPasses(model, size)
  let current = picture
  for (let pass = 0; pass < passes; pass++) {
    if (pass > 0) clampUnit(current.data)
    current = (await model.upscale?.(current, signal)) ?? current
    onPass()
  }
  const { data, width, height } = current
  return resizeImage(makeImage(await toBytes(data, 0, 1), width, height, metadata), size, size)
}
