/** Pictures as networks see them. */

import type { PixelSize } from './sizes'

/** Channels last, float32. */
export interface FloatPicture extends PixelSize {
  /** Shape [height, width, 3]; values 0 to 1. */
  readonly data: Float32Array
}

/** What an upscaler makes of a picture: colours on white, and how much of the white they hide where it says so. */
export interface EnlargedPicture extends FloatPicture {
  /** Shape [height, width]; about 0 to 1. */
  readonly opacity?: Float32Array
}
