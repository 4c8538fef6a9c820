/** The pictures of a request, read and scaled to what is drawn. */

import type { Image } from '../images/image'
import { binaryMask, blurredMask, type Overlay } from '../images/mask'
import { fromBytes } from '../images/pixels'
import { readPicture } from '../images/readPicture'
import type { GenerateRequest } from './generateOptions'
import type { PipelineModel } from './model'
import type { FloatPicture } from './picture'
import type { ControlRequest } from './pictureOptions'
import { drawnSize, type PixelSize, sizeLike } from './sizes'

/** A picture to start from. */
export interface InitInput {
  /** At the size that is drawn. */
  readonly picture: FloatPicture
  readonly strength: number
  /** 1 where it is drawn anew, at the size that is drawn. Shape [H, W]. */
  readonly mask: Float32Array | undefined
  readonly hash: string
  readonly maskHash: string | undefined
}

/** A hint for a ControlNet. */
export interface ControlInput extends Omit<ControlRequest, 'image'> {
  /** Of the net among those loaded. */
  readonly net: number
  readonly hash: string
  /** At the size that a pass draws. */
  scaled(size: PixelSize): Promise<FloatPicture>
}

/** What a request draws on. */
export interface RequestInputs {
  /** Of finished pictures, before `hires` and `upscale` enlarge them. */
  readonly size: PixelSize
  readonly init: InitInput | undefined
  readonly control: readonly ControlInput[]
  /** What lies under the finished picture; `undefined` without a mask. */
  readonly overlay: ((size: PixelSize) => Promise<Overlay>) | undefined
}

/**
 * Reads all pictures of a request.
 *
 * @throws {@link EngineError} `missing-file`, `unsupported-format`.
 */
export async function readInputs(
  request: GenerateRequest,
  { defaults, sizes }: Pick<PipelineModel, 'defaults' | 'sizes'>,
): Promise<RequestInputs> {
  const { init, control } = request
  const start = init && (await readPicture('init', init.image, 'white'))
  const mask = init?.mask && (await readPicture('mask', init.mask.image, 'black'))
  const side = { width: defaults.size, height: defaults.size }
  const size = request.size ?? (start ? sizeLike(start, sizes, side) : side)
  const drawn = drawnSize(size, sizes)
  const hints = await Promise.all(
    control.map(async ({ image, scale, interval }, net): Promise<ControlInput> => {
      const read = await readPicture(`control[${net}].image`, image, 'black')
      return { net, scale, interval, hash: read.hash, scaled: async (to) => toFloat(await read.scaled(to)) }
    }),
  )
  if (init === undefined || start === undefined) return { size, init: undefined, control: hints, overlay: undefined }
  const blur = init.mask?.blur ?? 0
  return {
    size,
    init: {
      picture: toFloat(await start.scaled(drawn)),
      strength: init.strength,
      mask: mask && binaryMask(await mask.scaled(drawn)),
      hash: start.hash,
      maskHash: mask?.hash,
    },
    control: hints,
    overlay:
      mask &&
      (async (to) => ({
        under: await (request.transparent ? start.cutOut(to) : start.scaled(to)),
        weights: await blurredMask(binaryMask(await mask.scaled(to)), to, blur),
      })),
  }
}

function toFloat({ data, width, height }: Image): FloatPicture {
  return { data: fromBytes(data), width, height }
}
