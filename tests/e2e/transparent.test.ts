/** Pictures cut out, from the network to the file, through the library and the command line. */

import { mkdtemp, readdir, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type GenerateOptions,
  type Image,
  loadComponent,
  loadPipeline,
  optionsFromMetadata,
  type Pipeline,
  readMetadata,
} from '../../src'
import { layOn, WHITE } from '../../src/images/opacity'
import { runCommand } from '../command'
import { cuttingModel } from './cutOuts'

let folder = ''
let model = ''
let pipe: Pipeline
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'irodori-cut-'))
  model = path.join(folder, 'model')
  await cuttingModel(model)
  pipe = await loadPipeline(model)
})
afterAll(async () => {
  await pipe[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const apple: GenerateOptions = { prompt: '赤いりんご', steps: 2, seed: 7 }

async function first(options: GenerateOptions, from = pipe): Promise<Image> {
  const [image] = (await from.generate(options)).images
  if (image === undefined) throw new Error('no picture')
  return image
}

/** Largest difference of bytes. */
const worst = (a: Uint8Array, b: ArrayLike<number>) =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? 0))), 0)

describe('library', () => {
  it('gives the colours on white and the opacity that the upscaler gives', async () => {
    const small = await first({ ...apple, size: 64 }) // what the decoder made
    const [ordinary, cut] = [await first(apple), await first({ ...apple, transparent: true })]
    using upscaler = await loadComponent(model, 'upscaler')
    const planes = Float32Array.from({ length: 3 * 64 * 64 }, (_, i) => {
      return (small.data[(i % (64 * 64)) * 3 + Math.floor(i / (64 * 64))] ?? 0) / 255
    })
    const { sample } = await upscaler.run({ sample: { dtype: 'f32', shape: [1, 3, 64, 64], data: planes } })
    expect(sample?.shape).toEqual([1, 4, 256, 256])
    const plane = 256 * 256
    const byte = (channel: number, pixel: number) =>
      255 * Math.min(1, Math.max(0, Number(sample?.data[channel * plane + pixel] ?? Number.NaN)))
    // The decoder's picture came here in bytes: half a byte of it, grown by the network.
    const colours = Array.from({ length: plane * 3 }, (_, i) => byte(i % 3, Math.floor(i / 3)))
    const opacity = Array.from({ length: plane }, (_, i) => byte(3, i))
    expect(ordinary.channels).toBe(3)
    expect(worst(ordinary.data, colours)).toBeLessThan(4)
    expect(cut.channels).toBe(4)
    const alpha = cut.data.filter((_, i) => i % 4 === 3)
    expect(worst(alpha, opacity)).toBeLessThan(4)
    expect(new Set(alpha).size).toBeGreaterThan(50)
    // On white it is the ordinary picture, where that is not darker than its opacity allows.
    const { data } = await layOn(cut, WHITE)
    let compared = 0
    for (const [i, value] of data.entries()) {
      if (255 - (ordinary.data[i] ?? 0) > (alpha[Math.floor(i / 3)] ?? 0)) continue
      compared++
      expect(Math.abs(value - (ordinary.data[i] ?? 0))).toBeLessThanOrEqual(1)
    }
    expect(compared).toBeGreaterThan(plane / 4)
  })

  it('is made again from its file', async () => {
    const cut = await first({ ...apple, transparent: true, size: 128 })
    const file = path.join(folder, 'apple.webp')
    await cut.save(file)
    expect(await sharp(file).metadata()).toMatchObject({ width: 128, height: 128, channels: 4, hasAlpha: true })
    const metadata = await readMetadata(file)
    if (metadata === undefined) throw new Error('no metadata')
    const again = await first({ prompt: '赤いりんご', ...optionsFromMetadata(metadata) })
    expect(again.data).toEqual(cut.data)
    await expect(cut.save(path.join(folder, 'apple.jpg'))).rejects.toMatchObject({ code: 'unsupported-format' })
  })

  it('takes an upscaler from elsewhere, and none for other channels', async () => {
    const upscaler = path.join(model, 'upscaler')
    await using lent = await loadPipeline('emoji', { upscaler })
    const cut = await first({ ...apple, transparent: true }, lent)
    expect(cut.data).toEqual((await first({ ...apple, transparent: true })).data)
    const grey = path.resolve(__dirname, '..', 'golden', 'srvgg', 'relu-x3-grey', 'upscaler')
    await expect(loadPipeline('emoji', { upscaler: grey })).rejects.toMatchObject({
      code: 'invalid-config',
      message: expect.stringMatching(/config.json: num_in_ch: expected 3, the channels of a picture, got 1$/),
    })
  })
})

describe('command line', () => {
  const quick = ['--steps', '1', '--seed', '5', '--size', '64']
  const generate = (...args: string[]) => runCommand(['generate', ...args, ...quick], { cwd: folder })

  it('cuts out, and says so in the file', async () => {
    const { status, stderr } = await generate('apple', '--model', model, '--transparent', '-o', 'cut.png')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(await sharp(path.join(folder, 'cut.png')).metadata()).toMatchObject({ channels: 4, width: 64 })
    expect(await readMetadata(path.join(folder, 'cut.png'))).toMatchObject({ transparent: true })
  })

  it('shows it on white', async () => {
    const args = ['apple', '--model', model, '--transparent', '--show', '-o', 'shown.png']
    const { status, stdout } = await generate(...args)
    expect(status).toBe(0)
    expect(stdout.split('\n').filter((line) => line.includes('▀')).length).toBe(16)
  })

  it('refuses JPEG before a model is loaded, and models that cannot', async () => {
    const jpeg = await generate('x', '--model', 'none', '--transparent', '-o', 'x.jpg')
    expect(jpeg.stderr).toMatch(/^irodori: unsupported-format: x\.jpg: expected one of png, webp, avif, .*got jpeg\n$/)
    const before = await readdir(folder)
    const sd1 = path.resolve(__dirname, '..', 'golden', 'pipelines', 'sd1')
    const none = await runCommand(['generate', 'x', '--model', sd1, '--steps', '1', '--transparent', '-o', 'x.png'], {
      cwd: folder,
    })
    expect(none.stderr).toMatch(/^irodori: invalid-option: transparent: expected false \(no upscaler was loaded; .*\n$/)
    expect(none.status).toBe(1)
    expect(await readdir(folder)).toEqual(before)
  })
})
