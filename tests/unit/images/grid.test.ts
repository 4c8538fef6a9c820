/** Grids: where pictures lie, what is between them, opacity and metadata. */

import { describe, expect, it } from 'vitest'
import { type GridOptions, makeGrid } from '../../../src/images/grid'
import { type Image, makeImage } from '../../../src/images/image'
import type { Provenance } from '../../../src/images/metadata'
import { optionsFromMetadata } from '../../../src/pipelines/optionsFromMetadata'

const made: Provenance = {
  software: 'irodori',
  version: '1.2.3',
  model: { name: 'emoji', hash: 'abc' },
  seed: 7,
  rng: 'philox',
  sampler: 'dpmpp2m',
  steps: 8,
  guidance: 2.5,
  width: 2,
  height: 2,
  device: { backend: 'cpu', arithmetic: 'avx2' },
  dtype: 'f32',
}

/** A picture of one value, half hidden where it has opacity. */
function flat(value: number, width = 2, height = 2, channels: 3 | 4 = 3, metadata?: Provenance): Image {
  const data = Uint8Array.from({ length: width * height * channels }, (_, i) =>
    i % 4 === 3 && channels === 4 ? 51 : value,
  )
  return makeImage(data, width, height, metadata, channels)
}

/** The first channel as lines of numbers. */
function lines({ data, width, height, channels }: Image, channel = 0): string[] {
  const value = (x: number, y: number) => data[(y * width + x) * channels + channel]
  return Array.from({ length: height }, (_, y) => Array.from({ length: width }, (_, x) => value(x, y)).join(' '))
}

const some = (count: number) => Array.from({ length: count }, (_, i) => flat(i + 1, 1, 1))

describe('places', () => {
  it.each<[number, GridOptions, string[]]>([
    [1, {}, ['1']],
    [2, {}, ['1 2']],
    [3, {}, ['1 2', '3 255']],
    [4, {}, ['1 2', '3 4']],
    [5, {}, ['1 2 3', '4 5 255']],
    [4, { columns: 4 }, ['1 2 3 4']],
    [3, { columns: 1 }, ['1', '2', '3']],
    [4, { gap: 1, background: [9, 0, 0] }, ['1 9 2', '9 9 9', '3 9 4']],
  ])('%d pictures with %j', async (count, options, want) => {
    expect(lines(await makeGrid(some(count), options))).toEqual(want)
  })

  it('smaller pictures lie in the middle', async () => {
    const grid = await makeGrid([flat(1, 3, 1), flat(2, 1, 3)])
    expect(lines(grid)).toEqual(['255 255 255 255 2 255', '1 1 1 255 2 255', '255 255 255 255 2 255'])
  })
})

describe('opacity', () => {
  it('is kept, and what no picture covers is empty', async () => {
    const grid = await makeGrid([flat(10, 1, 1, 4), flat(20, 1, 1), flat(30, 1, 1, 4)])
    expect(grid.channels).toBe(4)
    expect(lines(grid)).toEqual(['10 20', '30 255'])
    expect(lines(grid, 3)).toEqual(['51 255', '51 0'])
  })

  it('lets a background show', async () => {
    const grid = await makeGrid([flat(110, 1, 1, 4), flat(20, 1, 1)], { background: [10, 0, 0] })
    expect(grid.channels).toBe(3)
    expect(lines(grid)).toEqual(['30 20']) // 10 + 0.2 (110 - 10)
  })
})

describe('metadata', () => {
  const seeds = (...all: readonly Provenance['seed'][]) => all.map((seed) => flat(1, 2, 2, 3, { ...made, seed }))

  it('is the first one, with how many there are, and makes all of them again', async () => {
    const { metadata } = await makeGrid(seeds(7, 8, 9), { columns: 3 })
    expect(metadata).toEqual({ ...made, grid: { columns: 3, count: 3 } })
    if (metadata === undefined) throw new Error('none')
    expect(optionsFromMetadata(metadata)).toMatchObject({ seed: 7, count: 3, size: 2 })
    const last = Number.MAX_SAFE_INTEGER
    expect((await makeGrid(seeds(last, String(BigInt(last) + 1n)))).metadata?.grid?.count).toBe(2)
  })

  it('is none for pictures that were not made alike', async () => {
    const others = [
      seeds(7, 9),
      [...seeds(7), flat(1)],
      [flat(1), ...seeds(8)],
      [...seeds(7), flat(1, 2, 2, 3, { ...made, seed: 8, steps: 9 })],
      [await makeGrid(seeds(7, 8))],
    ]
    for (const images of others) expect((await makeGrid(images)).metadata).toBeUndefined()
  })
})

describe('refusals', () => {
  it.each<[unknown, object, string, RegExp]>([
    [[], {}, 'invalid-argument', /makeGrid: expected a list of pictures, got an empty list/],
    [flat(1), {}, 'invalid-argument', /expected a list of pictures, got one/],
    [[flat(1), 'a.png'], {}, 'invalid-argument', /got "a.png"/],
    [some(2), { columns: 3 }, 'invalid-option', /columns: expected a whole number from 1 to 2, got 3/],
    [some(2), { gap: -1 }, 'invalid-option', /gap/],
    [some(2), { background: 'white' }, 'invalid-option', /background: expected \[red, green, blue\]/],
    [some(2), { background: [0, 0, 256] }, 'invalid-option', /background/],
    [some(2), { rows: 1 }, 'unknown-option', /rows/],
  ])('%#', async (images, options, code, message) => {
    const making = makeGrid(images as Image[], options)
    await expect(making).rejects.toMatchObject({ name: 'EngineError', code })
    await expect(making).rejects.toThrow(message)
  })

  it('stops when the signal fires', async () => {
    await expect(makeGrid(some(2), { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORT_ERR' })
  })
})
