/** The autoencoder of a pipeline on its device: pictures from 0 to 1, latents as it stores them, in tiles where asked. */

import { splitOpacity } from '../images/opacity'
import { clampUnit } from '../images/pixels'
import type { LatentScaling } from './latents'
import type { PictureCodec } from './model'
import type { PipelineNetwork } from './network'
import type { DecodedPicture } from './picture'
import { cellsOf, type PixelSize } from './sizes'
import { inTiles, planTiling, type Tiling } from './tiling'

/** What is known of an autoencoder. */
export interface CodecParts {
  readonly decoder: PipelineNetwork
  readonly encoder: PipelineNetwork | undefined
  readonly scaling: LatentScaling
  /** Whether the decoder's fourth channel is opacity. */
  readonly opacity: boolean
  readonly pixelsPerCell: number
  /** Whether it may work in tiles. */
  readonly tiles: boolean
}

/** The codec of an autoencoder; networks for sizes are made as sizes come. */
export function makeCodec({ decoder, encoder, scaling, opacity, pixelsPerCell, tiles }: CodecParts): PictureCodec {
  const runDecoder = (latents: readonly Float32Array[], size: PixelSize, signal: AbortSignal) => {
    const rows = latents.map((latent) => ({ inputs: { latent } }))
    return decoder.runOne(sides(size), 'sample', rows, signal)
  }
  const toPicture = async (values: Float32Array, size: PixelSize): Promise<DecodedPicture> => {
    toUnit(values)
    if (!opacity) return { data: values, ...sides(size) }
    const apart = await splitOpacity(values)
    return { data: apart.colours, opacity: apart.opacity, ...sides(size) }
  }
  const codec: PictureCodec = {
    scaling,
    async tiling(request, size, signal) {
      if (!tiles) return undefined
      const shape = { sizes: cellsOf(size, pixelsPerCell), outputs: ['sample'] }
      const workBytes = request === 'auto' ? await decoder.workBytes(shape, signal) : 0
      return planTiling(request, size, workBytes, decoder.device.info.memoryBytes)
    },
    async decode(latents, size, tiling, signal) {
      const cells = cellsOf(size, pixelsPerCell)
      const pictures: DecodedPicture[] = []
      if (tiling === undefined || !exceeds(size, tiling)) {
        for (const values of await runDecoder(latents, cells, signal)) pictures.push(await toPicture(values, size))
        return pictures
      }
      const side = tiling.size / pixelsPerCell
      const run = async (tile: Float32Array, of: PixelSize) => only(await runDecoder([tile], of, signal))
      for (const latent of latents) {
        pictures.push(await toPicture(await inTiles(latent, cells, side, tiling.overlap, pixelsPerCell, run), size))
      }
      return pictures
    },
  }
  if (encoder === undefined) return codec
  const output = encoder.model.ports.outputs[0]?.name ?? ''
  return {
    ...codec,
    async encode(pictures, tiling, signal) {
      const run = async (sample: Float32Array, of: PixelSize) =>
        only(await encoder.runOne(sides(of), output, [{ inputs: { sample } }], signal))
      const made: Float32Array[] = []
      for (const picture of pictures) {
        const values = picture.data.map((value) => value * 2 - 1) // [-1, 1]
        made.push(
          tiling && exceeds(picture, tiling)
            ? await inTiles(values, picture, tiling.size, tiling.overlap, 1 / pixelsPerCell, run)
            : await run(values, picture),
        )
      }
      return made
    },
  }
}

const only = ([values = new Float32Array(0)]: readonly Float32Array[]) => values

const sides = ({ width, height }: PixelSize) => ({ width, height })

/** Whether a picture is larger than a tile. */
function exceeds({ width, height }: PixelSize, tiling: Tiling): boolean {
  return width > tiling.size || height > tiling.size
}

/** [-1, 1] to [0, 1], cut; in place. */
function toUnit(values: Float32Array): void {
  for (let i = 0; i < values.length; i++) values[i] = ((values[i] ?? 0) + 1) / 2
  clampUnit(values)
}
