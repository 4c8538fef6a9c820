/** Pictures as networks see them. */

import type { PixelSize } from './sizes'

/** Channels last, float32. */
export interface FloatPicture extends PixelSize {
  /** Shape [height, width, 3]; values 0 to 1. */
  readonly data: Float32Array
}
