/** Tiles cover the grid, fade into one another, and are chosen by size, memory and options alone. */

import { describe, expect, it } from 'vitest'
import { DEFAULT_TILING, inTiles, planTiling, tilesOf } from '../../../src/pipelines/tiling'

const size = (width: number, height = width) => ({ width, height })

describe('planTiling', () => {
  it.each([
    ['auto', 512, 1, undefined],
    ['auto', 1024, 1, undefined],
    ['auto', 1024, 26, DEFAULT_TILING],
    ['auto', 512, 26, undefined], // one tile would be all of it
    ['off', 4096, 99, undefined],
    [{ size: 256, overlap: 0.5 }, 512, 0, { size: 256, overlap: 0.5 }],
    [{ size: 512, overlap: 0.5 }, 512, 0, undefined],
  ] as const)('%j at %i pixels with %i %% of the memory', (request, side, work, want) => {
    expect(planTiling(request, size(side), work, 100)).toEqual(want)
  })
})

describe('tilesOf', () => {
  it.each([
    [64, [[0, 64]]],
    [
      65,
      [
        [0, 64],
        [48, 17],
      ],
    ],
    [
      96,
      [
        [0, 64],
        [48, 48],
      ],
    ],
    [
      112,
      [
        [0, 64],
        [48, 64],
      ],
    ],
    [
      113,
      [
        [0, 64],
        [48, 64],
        [96, 17],
      ],
    ],
  ])('%i cells', (width, want) => {
    const [line = []] = tilesOf(size(width, 1), 64, 0.25)
    expect(line.map((tile) => [tile.x, tile.width])).toEqual(want)
  })
})

describe('inTiles', () => {
  const ramp = (width: number, height: number, channels: number) =>
    Float32Array.from({ length: width * height * channels }, (_, i) => Math.sin(i))

  it.each([
    [40, 16, 16, 0.25],
    [33, 50, 16, 0.5],
    [16, 16, 16, 0.25],
    [17, 9, 16, 0.0625],
  ])('%i x %i gives back what every tile agrees on', async (width, height, side, overlap) => {
    const data = ramp(width, height, 3)
    const same = await inTiles(data, size(width, height), side, overlap, 1, async (tile) => tile)
    for (const [i, value] of same.entries()) expect(value).toBeCloseTo(data[i] ?? Number.NaN, 5)
  })

  it('grows and shrinks with its tiles', async () => {
    const whole = (factor: number) => (data: Float32Array, width: number, height: number) => {
      const [w, h] = [width * factor, height * factor]
      return Float32Array.from({ length: w * h }, (_, i) => {
        const [y, x] = [Math.floor(Math.floor(i / w) / factor), Math.floor((i % w) / factor)]
        return data[y * width + x] ?? Number.NaN
      })
    }
    const data = ramp(40, 24, 1)
    const twice = await inTiles(data, size(40, 24), 16, 0.25, 2, async (tile, of) =>
      whole(2)(tile, of.width, of.height),
    )
    const wanted = whole(2)(data, 40, 24)
    for (const [i, value] of twice.entries()) expect(value).toBeCloseTo(wanted[i] ?? Number.NaN, 5)
    const half = await inTiles(twice, size(80, 48), 32, 0.25, 0.5, async (tile, of) => {
      return whole(0.5)(tile, of.width, of.height)
    })
    for (const [i, value] of half.entries()) expect(value).toBeCloseTo(data[i] ?? Number.NaN, 5)
  })

  it('fades linearly where tiles differ', async () => {
    let tiles = 0
    const flat = async (tile: Float32Array) => tile.fill(tiles++)
    const [...line] = await inTiles(new Float32Array(12), size(12, 1), 8, 0.5, 1, flat)
    expect(line).toEqual([0, 0, 0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1, 1])
  })
})
