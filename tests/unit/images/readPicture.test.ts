/** Pictures that callers give: every kind of input, transparency, turning, scaling; masks and overlays. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeImage } from '../../../src/images/image'
import { binaryMask, blurredMask, cellMask, layOver } from '../../../src/images/mask'
import { checkImageInput, readPicture } from '../../../src/images/readPicture'

const rgb = { width: 2, height: 1, data: Uint8Array.of(255, 0, 0, 0, 0, 255) }
let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'irodori-pictures-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const pixels = async (input: Parameters<typeof readPicture>[1], ground: 'white' | 'black' = 'white') => {
  const read = await readPicture('init', input, ground)
  return [...(await read.scaled(read)).data]
}
const encoded = (channels: 1 | 3 | 4, data: Uint8Array, width: number, height: number) =>
  sharp(data, { raw: { width, height, channels } }).png().toBuffer()

describe('readPicture', () => {
  it('takes pixels, bytes and files alike', async () => {
    const png = await encoded(3, rgb.data, 2, 1)
    const file = path.join(folder, 'two.png')
    await writeFile(file, png)
    for (const input of [rgb, png, new Uint8Array(png), file, makeImage(rgb.data, 2, 1)]) {
      expect(await pixels(input)).toEqual([...rgb.data])
    }
    const hashes = await Promise.all(
      [rgb, png, file].map(async (input) => (await readPicture('i', input, 'white')).hash),
    )
    expect(new Set(hashes).size).toBe(1)
  })

  it('lays transparency on white, or for masks and hints on black', async () => {
    const clear = { width: 1, height: 1, channels: 4 as const, data: Uint8Array.of(10, 20, 30, 0) }
    expect(await pixels(clear)).toEqual([255, 255, 255])
    expect(await pixels(clear, 'black')).toEqual([0, 0, 0])
    const png = await encoded(4, clear.data, 1, 1)
    expect(await pixels(png)).toEqual([255, 255, 255])
  })

  it('reads grey, also from a file, and turns photographs upright', async () => {
    const grey = { width: 2, height: 1, channels: 1 as const, data: Uint8Array.of(7, 200) }
    expect(await pixels(grey)).toEqual([7, 7, 7, 200, 200, 200])
    expect(await pixels(await encoded(1, grey.data, 2, 1))).toEqual([7, 7, 7, 200, 200, 200])
    const turned = await sharp(Buffer.from(rgb.data), { raw: { width: 2, height: 1, channels: 3 } })
      .png()
      .withMetadata({ orientation: 6 })
      .toBuffer()
    const read = await readPicture('init', turned, 'white')
    expect([read.width, read.height]).toEqual([1, 2])
  })

  it('scales', async () => {
    const { width, height, data } = await (await readPicture('init', rgb, 'white')).scaled({ width: 8, height: 4 })
    expect([width, height, data.length]).toEqual([8, 4, 96])
    expect([data[0], data[2]]).toEqual([255, 0])
  })

  it('keeps opacity when it is asked to', async () => {
    const half = { width: 2, height: 1, channels: 4 as const, data: Uint8Array.of(10, 20, 30, 128, 1, 2, 3, 0) }
    const grey = await sharp(Buffer.of(9, 128, 8, 255), { raw: { width: 2, height: 1, channels: 2 } })
      .png()
      .toBuffer()
    const cut = async (input: Parameters<typeof readPicture>[1], width = 2) => {
      const image = await (await readPicture('init', input, 'white')).cutOut({ width, height: width / 2 })
      expect([image.channels, image.width]).toEqual([4, width])
      return [...image.data]
    }
    expect(await cut(half)).toEqual([...half.data])
    expect(await cut(await encoded(4, half.data, 2, 1))).toEqual([...half.data])
    expect(await cut(rgb)).toEqual([255, 0, 0, 255, 0, 0, 255, 255])
    expect(await cut(grey)).toEqual([9, 9, 9, 128, 8, 8, 8, 255])
    expect((await cut(rgb, 4)).slice(0, 4)).toEqual([255, 0, 0, 255])
  })

  it('says what it cannot read', async () => {
    await expect(readPicture('mask', path.join(folder, 'none.png'), 'black')).rejects.toMatchObject({
      code: 'missing-file',
      message: expect.stringMatching(/^mask: expected a readable file, got ".*none.png"$/),
    })
    await expect(readPicture('init', Uint8Array.of(1, 2, 3), 'white')).rejects.toMatchObject({
      code: 'unsupported-format',
      message: expect.stringMatching(/^init: expected a picture, got/),
    })
    expect(() => checkImageInput('init', { ...rgb, channels: 2 })).toThrow(/init: expected a file/)
  })
})

describe('masks', () => {
  it('are new where they are lighter than half', () => {
    const mask = makeImage(Uint8Array.of(127, 127, 127, 128, 128, 128, 255, 255, 255), 3, 1)
    expect([...binaryMask(mask)]).toEqual([0, 1, 1])
  })

  it('give a cell what its upper left pixel has', () => {
    const bits = Float32Array.of(1, 0, 0, 1, 0, 0, 1, 0)
    expect([...cellMask(bits, { width: 4, height: 2 }, { width: 2, height: 1 })]).toEqual([1, 0])
  })

  it('fade new into old, and keep bytes where nothing is new', async () => {
    const bits = Float32Array.from({ length: 64 }, (_, i) => (i < 32 ? 0 : 1))
    const weights = await blurredMask(bits, { width: 64, height: 1 }, 2)
    expect(weights[0]).toBe(0)
    expect(weights[63]).toBe(1)
    expect(weights[31]).toBeGreaterThan(0.2)
    expect(weights[31]).toBeLessThan(0.6)
    expect(await blurredMask(bits, { width: 64, height: 1 }, 0)).toBe(bits)
    const under = makeImage(new Uint8Array(64 * 3).fill(13), 64, 1)
    const over = makeImage(new Uint8Array(64 * 3).fill(200), 64, 1)
    const { data } = await layOver(over, { under, weights })
    expect([data[0], data[63 * 3]]).toEqual([13, 200])
    expect([...data].every((value, i) => i === 0 || value >= (data[i - 1] ?? 0))).toBe(true)
  })
  it('mix colours by their opacity', async () => {
    const [red, green] = [
      [255, 0, 0],
      [0, 255, 0],
    ] as const
    const over = makeImage(
      Uint8Array.of(...red, 255, ...red, 255, ...red, 255, ...red, 0, ...red, 0),
      5,
      1,
      undefined,
      4,
    )
    const ground = Uint8Array.of(...green, 77, ...green, 255, ...green, 0, ...green, 100, ...green, 0)
    const under = makeImage(ground, 5, 1, undefined, 4)
    const { data, channels } = await layOver(over, { under, weights: Float32Array.of(0, 0.5, 0.5, 0.5, 1) })
    expect(channels).toBe(4)
    expect([...data]).toEqual([
      ...[...green, 77], // kept to the byte
      ...[128, 128, 0, 255],
      ...[...red, 128], // nothing shows of green
      ...[...green, 50],
      ...[...red, 0],
    ])
  })
})
