/** From the decoder's picture to the size asked for: passes of the upscaler, then an exact resize where they overshoot. */

import { type Image, makeImage, resizeImage } from '../images/image'
import type { Provenance } from '../images/metadata'
import { clampUnit, toBytes } from '../images/pixels'
import type { PipelineModel } from './model'
import type { FloatPicture } from './picture'
import { type PixelSize, upscalerPasses } from './sizes'

/**
 * Makes the picture the caller gets.
 *
 * @param picture - from the decoder; values 0 to 1.
 * @param onPass - called after each pass.
 */
export async function finishPicture(
  { sizes, upscale }: Pick<PipelineModel, 'sizes' | 'upscale'>,
  picture: FloatPicture,
  size: PixelSize,
  metadata: Provenance | undefined,
  signal: AbortSignal,
  onPass: () => void,
): Promise<Image> {
  const passes = upscalerPasses(picture, size, sizes)
  let current = picture
  for (let pass = 0; pass < passes; pass++) {
    if (pass > 0) clampUnit(current.data)
    current = (await upscale?.(current, signal)) ?? current
    onPass()
  }
  const { data, width, height } = current
  return resizeImage(makeImage(await toBytes(data, 0, 1), width, height, metadata), size.width, size.height)
}
