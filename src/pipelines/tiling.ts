/**
 * Tiling of autoencoders: when they work in tiles, and how tiles become one picture.
 *
 * Whether they do depends on the size, on the device's whole memory and on the options, never on what is free, so that a
 * machine makes the same picture again. Tiles overlap and fade linearly into one another, as diffusers' AutoencoderKL
 * blends them.
 */

import { checkNames, type GivenOptions, integerOption, invalidOption, numberOption } from '../text/givenOptions'
import type { PixelSize } from './sizes'

/** Tiles of a request. */
export interface TilingOptions {
  /** Side of a tile in pixels, a multiple of 64, 128 to 4096. @defaultValue 512 */
  readonly size?: number
  /** Share of a tile that it has in common with the next, 0.0625 to 0.5. @defaultValue 0.25 */
  readonly overlap?: number
}

/** Sides and steps of tiles in pixels. */
export interface Tiling {
  readonly size: number
  readonly overlap: number
}

/** What was asked for; `auto` leaves it to the memory. */
export type TilingRequest = Tiling | 'auto' | 'off'

/** Tiles where nothing is said: the size SD's autoencoder was trained at, and diffusers' overlap. */
export const DEFAULT_TILING: Tiling = { size: 512, overlap: 0.25 }

/** Most of the device's memory that the work space of one picture may take before tiles are used. */
const WORK_SPACE_SHARE = 0.25

/** Throws `invalid-option` and `unknown-option`. */
export function readTiling(given: GivenOptions, { tiles }: { readonly tiles: boolean }): TilingRequest {
  const { tiling } = given
  if (tiling === undefined) return 'auto'
  if (tiling === false) return 'off'
  if (!tiles) throw invalidOption('tiling', 'false or nothing (the model draws one small size)', tiling)
  if (tiling === true) return DEFAULT_TILING
  const options = checkNames('tiling', tiling, ['size', 'overlap'])
  const size = integerOption(options, 'size', 128, 4096) ?? DEFAULT_TILING.size
  if (size % 64 !== 0) throw invalidOption('tiling.size', 'a multiple of 64', size)
  return { size, overlap: numberOption(options, 'overlap', 0.0625, 0.5) ?? DEFAULT_TILING.overlap }
}

/**
 * The tiles a picture is worked on in, or `undefined` for all of it at once.
 *
 * @param workBytes - work space of the network for the whole picture.
 * @param memoryBytes - of the device, used or not.
 */
export function planTiling(
  request: TilingRequest,
  size: PixelSize,
  workBytes: number,
  memoryBytes: number,
): Tiling | undefined {
  const tiling =
    request === 'auto' ? (workBytes > memoryBytes * WORK_SPACE_SHARE ? DEFAULT_TILING : undefined) : request
  if (tiling === undefined || tiling === 'off') return undefined
  return size.width <= tiling.size && size.height <= tiling.size ? undefined : tiling
}

/** A tile's place. */
export interface Tile {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** Places of tiles over a grid, row by row; those at the far edges are cut. All but them overlap by `overlap` of a side. */
export function tilesOf({ width, height }: PixelSize, side: number, overlap: number): readonly (readonly Tile[])[] {
  const step = Math.floor(side * (1 - overlap))
  const starts = (length: number) => {
    const count = Math.max(1, Math.ceil((length - (side - step)) / step))
    return Array.from({ length: count }, (_, i) => i * step)
  }
  return starts(height).map((y) =>
    starts(width).map((x) => ({ x, y, width: Math.min(side, width - x), height: Math.min(side, height - y) })),
  )
}

/** One tile of a grid: `[h, w, C] -> [tile.height, tile.width, C]`. */
export function cropTile(data: Float32Array, { width, height }: PixelSize, tile: Tile): Float32Array {
  const channels = data.length / (width * height)
  const cropped = new Float32Array(tile.width * tile.height * channels)
  for (let y = tile.y; y < tile.y + tile.height; y++) {
    const from = (y * width + tile.x) * channels
    cropped.set(data.subarray(from, from + tile.width * channels), (y - tile.y) * tile.width * channels)
  }
  return cropped
}

/**
 * Tiles as one grid, faded into one another: over the cells that two share, the weight of the first falls linearly as
 * that of the second rises, across and down alike.
 *
 * @param made - what became of each tile, of `factor` times its sides. Shape [tile.height f, tile.width f, C].
 * @param factor - by how much the grid grows; below 1 where it shrinks.
 * @returns shape [height f, width f, C].
 */
export function mergeTiles(
  tiles: readonly (readonly Tile[])[],
  made: readonly (readonly Float32Array[])[],
  size: PixelSize,
  factor: number,
): Float32Array {
  const [width, height] = [size.width * factor, size.height * factor]
  const first = tiles[0]?.[0]
  const channels = first ? (made[0]?.[0]?.length ?? 0) / (first.width * first.height * factor * factor) : 0
  const merged = new Float32Array(width * height * channels)
  for (const [row, line] of tiles.entries()) {
    for (const [column, tile] of line.entries()) {
      const data = made[row]?.[column] ?? new Float32Array(0)
      const across = fade(tile.x, tile.width, line[column - 1], line[column + 1], 'x', factor)
      const down = fade(tile.y, tile.height, tiles[row - 1]?.[column], tiles[row + 1]?.[column], 'y', factor)
      const [left, top] = [tile.x * factor, tile.y * factor]
      for (const [y, wy] of down.entries()) {
        for (const [x, wx] of across.entries()) {
          const from = (y * across.length + x) * channels
          const to = ((top + y) * width + left + x) * channels
          for (let c = 0; c < channels; c++)
            merged[to + c] = (merged[to + c] ?? 0) + wy * wx * (data[from + c] ?? Number.NaN)
        }
      }
    }
  }
  return merged
}

/** Weights along one side of a tile, from what it shares with its neighbours. */
function fade(
  start: number,
  length: number,
  before: Tile | undefined,
  after: Tile | undefined,
  axis: 'x' | 'y',
  factor: number,
): Float64Array {
  const weights = new Float64Array(length * factor).fill(1)
  const shared = before === undefined ? 0 : (before[axis] + lengthOf(before, axis) - start) * factor
  for (let i = 0; i < shared; i++) weights[i] = i / shared
  const next = after === undefined ? weights.length : (after[axis] - start) * factor
  for (let i = next; i < weights.length; i++) weights[i] = 1 - (i - next) / (weights.length - next)
  return weights
}

const lengthOf = (tile: Tile, axis: 'x' | 'y') => (axis === 'x' ? tile.width : tile.height)

/**
 * Work on a grid tile by tile.
 *
 * @param data - shape [h, w, C].
 * @param side - of a tile.
 * @param factor - by how much the grid grows; below 1 where it shrinks.
 * @param run - makes something of a tile; tiles come one after the other.
 */
export async function inTiles(
  data: Float32Array,
  size: PixelSize,
  side: number,
  overlap: number,
  factor: number,
  run: (tile: Float32Array, size: PixelSize) => Promise<Float32Array>,
): Promise<Float32Array> {
  const places = tilesOf(size, side, overlap)
  const made: Float32Array[][] = []
  for (const line of places) {
    const row: Float32Array[] = []
    for (const tile of line) row.push(await run(cropTile(data, size, tile), tile))
    made.push(row)
  }
  return mergeTiles(places, made, size, factor)
}
