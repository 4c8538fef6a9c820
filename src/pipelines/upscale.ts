/**
 * From the decoder's picture to the size asked for: passes of the upscaler, then an exact resize where they overshoot.
 *
 * Opacity is enlarged as Real-ESRGAN does it (Wang et al. 2021, arXiv:2107.10833, its inference code): as a grey picture of
 * its own.
 */

import { type Image, makeImage, resizeImage } from '../images/image'
import type { Provenance } from '../images/metadata'
import { cutOut, fromGrey, toGrey } from '../images/opacity'
import { clampUnit, toBytes } from '../images/pixels'
import type { PipelineModel } from './model'
import type { DecodedPicture, FloatPicture } from './picture'
import { type PixelSize, type SizeRules, upscalerPasses } from './sizes'

/** The picture a caller gets. */
export interface Finish {
  readonly size: PixelSize
  readonly transparent: boolean
  readonly metadata: Provenance | undefined
}

/** How often the upscaler must run: for colours, and for opacity where it is wanted. */
export function finishingPasses(
  drawn: PixelSize,
  { size, transparent }: Pick<Finish, 'size' | 'transparent'>,
  sizes: SizeRules,
): number {
  return upscalerPasses(drawn, size, sizes) * (transparent ? 2 : 1)
}

/**
 * Makes the picture the caller gets.
 *
 * @param onPass - called after each pass.
 */
export async function finishPicture(
  { sizes, upscale }: Pick<PipelineModel, 'sizes' | 'upscale'>,
  picture: DecodedPicture,
  finish: Finish,
  signal: AbortSignal,
  onPass: () => void,
): Promise<Image> {
  const { size, metadata, transparent } = finish
  const passes = upscalerPasses(picture, size, sizes)
  const enlarge = async (smaller: FloatPicture): Promise<FloatPicture> => {
    let current = smaller
    for (let pass = 0; pass < passes; pass++) {
      if (pass > 0) clampUnit(current.data)
      current = (await upscale?.(current, signal)) ?? current
      onPass()
    }
    return current
  }
  const enlargeOpacity = async (plane: Float32Array): Promise<Float32Array> => {
    if (passes === 0) return plane
    return fromGrey((await enlarge({ ...picture, data: await toGrey(plane) })).data)
  }
  const { data, width, height } = await enlarge(picture)
  const { opacity } = picture
  const image =
    transparent && opacity !== undefined
      ? makeImage(await cutOut(data, await enlargeOpacity(opacity)), width, height, undefined, 4)
      : makeImage(await toBytes(data, 0, 1), width, height)
  return resizeImage(image, size.width, size.height, metadata)
}
