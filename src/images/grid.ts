/** Grids: several pictures as one, a contact sheet. */

import { setImmediate } from 'node:timers/promises'
import { EngineError, throwIfAborted } from '../errors'
import { checkNames, type GivenOptions, integerOption, invalidOption, show, signalOption } from '../text/givenOptions'
import { type Image, makeImage } from './image'
import type { Provenance } from './metadata'
import { type Colour, layOn, WHITE, withOpacity } from './opacity'

/** Options of {@link makeGrid}. */
export interface GridOptions {
  /** Pictures in a row, from 1 to as many as there are. @defaultValue the root of their number, rounded up */
  readonly columns?: number
  /** Pixels between pictures, 0 to 1024; there are none around them. @defaultValue 0 */
  readonly gap?: number
  /**
   * Red, green and blue, 0 to 255 each, of the ground that pictures lie on; the grid then has no opacity. @defaultValue
   * nothing where one of the pictures has opacity, which the grid keeps; else white
   */
  readonly background?: Colour
  readonly signal?: AbortSignal
}

const MAX_GAP = 1024

/**
 * Pictures in rows, in their order from the upper left, as one picture. All cells are as wide as the widest and as high
 * as the highest picture; smaller ones lie in the middle of theirs. Four pictures of 256x256 make one of 512x512.
 *
 * Where all were made alike with seeds that count up, as `count` makes them of one prompt, the grid's metadata is that of
 * the first with `grid` besides, and `optionsFromMetadata` makes all of them again; else it has none.
 *
 * @example
 * const { images } = await pipe.generate({ prompt: 'a happy cat', count: 4 })
 * await (await makeGrid(images)).save('cats.png')
 *
 * @throws {@link EngineError} `invalid-argument` when it is no list of pictures; `unknown-option`, `invalid-option`.
 * @throws AbortError when the signal fires.
 */
export async function makeGrid(images: readonly Image[], options: GridOptions = {}): Promise<Image> {
  checkImages(images)
  const given = checkNames('makeGrid', options, ['columns', 'gap', 'background', 'signal'])
  const columns = integerOption(given, 'columns', 1, images.length) ?? Math.ceil(Math.sqrt(images.length))
  const gap = integerOption(given, 'gap', 0, MAX_GAP) ?? 0
  const background = readBackground(given)
  const signal = signalOption(given)
  const cell = {
    width: Math.max(...images.map(({ width }) => width)),
    height: Math.max(...images.map(({ height }) => height)),
  }
  const along = (cells: number, side: number) => cells * side + (cells - 1) * gap
  const width = along(columns, cell.width)
  const height = along(Math.ceil(images.length / columns), cell.height)
  const channels = background === undefined && images.some((image) => image.channels === 4) ? 4 : 3
  const data = ground(width, height, channels === 4 ? [...WHITE, 0] : (background ?? WHITE))
  for (const [i, image] of images.entries()) {
    if (i > 0) await setImmediate()
    throwIfAborted(signal)
    const fitted = background !== undefined ? layOn(image, background) : channels === 4 ? withOpacity(image) : image
    const { data: pixels } = await fitted
    const left = (i % columns) * (cell.width + gap) + Math.floor((cell.width - image.width) / 2)
    const top = Math.floor(i / columns) * (cell.height + gap) + Math.floor((cell.height - image.height) / 2)
    const line = image.width * channels
    for (let y = 0; y < image.height; y++) {
      data.set(pixels.subarray(y * line, (y + 1) * line), ((top + y) * width + left) * channels)
    }
  }
  return makeImage(data, width, height, metadataOf(images, columns), channels)
}

/** Pixels that are all the same. */
function ground(width: number, height: number, pixel: readonly number[]): Uint8Array {
  const row = Uint8Array.from({ length: width * pixel.length }, (_, i) => pixel[i % pixel.length] ?? 0)
  const data = new Uint8Array(row.length * height) // [H, W, channels]
  for (let y = 0; y < height; y++) data.set(row, y * row.length)
  return data
}

/** That of the first, when all were made alike with seeds that count up. */
function metadataOf(images: readonly Image[], columns: number): Provenance | undefined {
  const first = images[0]?.metadata
  if (first === undefined || first.grid !== undefined) return undefined
  const wanted = (i: number) => JSON.stringify({ ...first, seed: String(BigInt(first.seed) + BigInt(i)) })
  const alike = images.every(
    ({ metadata }, i) =>
      metadata !== undefined && JSON.stringify({ ...metadata, seed: String(metadata.seed) }) === wanted(i),
  )
  return alike ? { ...first, grid: { columns, count: images.length } } : undefined
}

function checkImages(images: unknown): void {
  const list: readonly unknown[] = Array.isArray(images) ? images : [images]
  const isImage = (one: unknown) =>
    typeof one === 'object' && one !== null && 'data' in one && 'channels' in one && 'metadata' in one
  const wrong = list.findIndex((one) => !isImage(one))
  if (Array.isArray(images) && images.length > 0 && wrong < 0) return
  const got = list.length === 0 ? 'an empty list' : wrong < 0 ? 'one' : show(list[wrong])
  throw new EngineError('invalid-argument', `makeGrid: expected a list of pictures, got ${got}`, { got })
}

function readBackground({ background }: GivenOptions): Colour | undefined {
  if (background === undefined) return undefined
  const isByte = (value: unknown) => typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 255
  if (Array.isArray(background) && background.length === 3 && background.every(isByte)) {
    const [red, green, blue]: readonly number[] = background
    return [red ?? 0, green ?? 0, blue ?? 0]
  }
  throw invalidOption('background', '[red, green, blue], whole numbers from 0 to 255', background)
}
