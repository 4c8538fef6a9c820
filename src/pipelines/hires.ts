/** Two passes: latents or pictures of the first, enlarged for the second. */

import { makeImage, resizeImage } from '../images/image'
import { fromBytes, toBytes } from '../images/pixels'
import { type HostLatent, hostLatent } from '../tensor/latent'
import type { PipelineModel } from './model'
import type { FloatPicture } from './picture'
import { type PixelSize, sizeLike, upscalerPasses } from './sizes'

/** The size of the second pass: sides cut to what the model draws. */
export function hiresSize(
  { width, height }: PixelSize,
  scale: number,
  { sizes }: Pick<PipelineModel, 'sizes'>,
): PixelSize {
  const wanted = { width: Math.floor(width * scale), height: Math.floor(height * scale) }
  return sizeLike(wanted, sizes, wanted)
}

/**
 * A latent over more cells, bilinear between the cells' centres, edges continued (PyTorch's `align_corners=False`).
 *
 * @param latent - shape [h, w, C].
 */
export function enlargeLatent(latent: HostLatent, to: PixelSize): HostLatent {
  const [h = 0, w = 0, channels = 0] = latent.shape
  const rows = taps(h, to.height)
  const columns = taps(w, to.width)
  const data = new Float32Array(to.height * to.width * channels) // [H, W, C]
  const at = (y: number, x: number, c: number) => latent.data[(y * w + x) * channels + c] ?? Number.NaN
  let next = 0
  for (const [y0, y1, wy] of rows) {
    for (const [x0, x1, wx] of columns) {
      for (let c = 0; c < channels; c++) {
        const upper = at(y0, x0, c) * (1 - wx) + at(y0, x1, c) * wx
        const lower = at(y1, x0, c) * (1 - wx) + at(y1, x1, c) * wx
        data[next++] = upper * (1 - wy) + lower * wy
      }
    }
  }
  return hostLatent(data, [to.height, to.width, channels])
}

/** For each new cell the two old ones around its centre and the weight of the second. */
function taps(from: number, to: number): readonly (readonly [number, number, number])[] {
  return Array.from({ length: to }, (_, i) => {
    const centre = Math.max(0, ((i + 0.5) * from) / to - 0.5)
    const low = Math.min(from - 1, Math.floor(centre))
    return [low, Math.min(from - 1, low + 1), centre - low] as const
  })
}

/** A picture enlarged by the model's upscaler where it has one, and exactly by Lanczos filtering. */
export async function enlargePicture(
  model: Pick<PipelineModel, 'sizes' | 'upscale'>,
  picture: FloatPicture,
  to: PixelSize,
  signal: AbortSignal,
): Promise<FloatPicture> {
  let current = picture
  for (let pass = upscalerPasses(picture, to, model.sizes); pass > 0; pass--) {
    current = (await model.upscale?.(current, signal)) ?? current
  }
  const { data, width, height } = current
  const resized = await resizeImage(makeImage(await toBytes(data, 0, 1), width, height), to.width, to.height)
  return { data: fromBytes(resized.data), ...to }
}
