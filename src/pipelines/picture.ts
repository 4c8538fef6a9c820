/** Pictures as networks see them. */

import type { PixelSize } from './sizes'

/** Channels last, float32. */
export interface FloatPicture extends PixelSize {
  /** Shape [height, width, 3]; values 0 to 1. */
  readonly data: Float32Array
}

/** What a decoder makes: colours, which lie on white where it also says how much of the white they hide. */
export interface DecodedPicture extends FloatPicture {
  /** Shape [height, width]; values 0 to 1. */
  readonly opacity?: Float32Array
}
