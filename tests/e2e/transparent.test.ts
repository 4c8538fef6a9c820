/** Pictures cut out, from the network to the file, through the library and the command line. */

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
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
  readSafetensors,
  type Tensor,
} from '../../src'
import { layOn, WHITE } from '../../src/images/opacity'
import { writeSafetensors } from '../../src/weights'
import { runCommand } from '../command'

let folder = ''
let pipe: Pipeline
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'irodori-cut-'))
  pipe = await loadPipeline('emoji')
})
afterAll(async () => {
  await pipe[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const emoji = path.resolve(__dirname, '..', '..', 'models', 'emoji')
const WEIGHTS = 'diffusion_pytorch_model.safetensors'

const apple: GenerateOptions = { prompt: '赤いりんご', steps: 2, seed: 7 }

async function first(options: GenerateOptions, from = pipe): Promise<Image> {
  const [image] = (await from.generate(options)).images
  if (image === undefined) throw new Error('no picture')
  return image
}

/** Largest difference of bytes. */
const worst = (a: Uint8Array, b: ArrayLike<number>) =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? 0))), 0)

/** One channel of a tensor [1, C, H, W]. */
const planeOf = ({ data, shape: [, , height = 0, width = 0] }: Tensor, channel: number) =>
  Float32Array.from({ length: height * width }, (_, i) => Number(data[channel * height * width + i] ?? Number.NaN))

const toByte = (value: number) => 255 * Math.min(1, Math.max(0, value))

describe('library', () => {
  it('gives the colours on white and the opacity that the decoder gives, enlarged as grey', async () => {
    const [small, cutSmall] = [
      await first({ ...apple, size: 128 }),
      await first({ ...apple, size: 128, transparent: true }),
    ]
    const [ordinary, cut] = [await first(apple), await first({ ...apple, transparent: true })]
    expect([small, ordinary, cutSmall, cut].map(({ channels }) => channels)).toEqual([3, 3, 4, 4])
    const { latents } = await pipe.generate({ ...apple, output: 'latents' })
    if (latents === undefined) throw new Error('no latents')
    const { scaling_factor } = JSON.parse(await readFile(path.join(emoji, 'vae', 'config.json'), 'utf8'))
    using decoder = await loadComponent(emoji, 'vae.decoder')
    const unscaled = Float32Array.from(Array.from(latents.data, Number), (value) => value / scaling_factor)
    const { sample } = await decoder.run({ latent: { ...latents, dtype: 'f32', data: unscaled } })
    if (sample === undefined) throw new Error('no sample')
    expect(sample.shape).toEqual([1, 4, 128, 128])
    const decoded = planeOf(sample, 3).map((value) => Math.min(1, Math.max(0, (value + 1) / 2)))
    const alphaOf = ({ data }: Image) => data.filter((_, i) => i % 4 === 3)
    expect(worst(alphaOf(cutSmall), decoded.map(toByte))).toBeLessThan(1)
    using upscaler = await loadComponent(emoji, 'upscaler')
    const grey = Float32Array.from({ length: 3 * decoded.length }, (_, i) => decoded[i % decoded.length] ?? 0)
    const enlarged = (await upscaler.run({ sample: { dtype: 'f32', shape: [1, 3, 128, 128], data: grey } })).sample
    if (enlarged === undefined) throw new Error('no sample')
    const [r, g, b] = [planeOf(enlarged, 0), planeOf(enlarged, 1), planeOf(enlarged, 2)]
    const opacity = r.map((value, i) => toByte((value + (g[i] ?? 0) + (b[i] ?? 0)) / 3))
    expect(worst(alphaOf(cut), opacity)).toBeLessThan(1)
    // An apple on nothing: whole inside, clear at the corners, and on white the ordinary picture.
    const at = (x: number, y: number) => cut.data[(y * 512 + x) * 4 + 3] ?? 0
    expect(Math.min(at(256, 256), at(200, 300), at(300, 300))).toBeGreaterThan(250)
    expect(Math.max(at(2, 2), at(509, 2), at(2, 509), at(509, 509))).toBeLessThan(5)
    const { data } = await layOn(cut, WHITE)
    const apart = data.map((value, i) => Math.abs(value - (ordinary.data[i] ?? 0)))
    expect(apart.filter((difference) => difference > 8).length).toBeLessThan(0.02 * apart.length)
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

  it('takes no networks for other channels than those of pictures', async () => {
    const grey = path.resolve(__dirname, '..', 'golden', 'srvgg', 'relu-x3-grey', 'upscaler')
    await expect(loadPipeline('emoji', { upscaler: grey })).rejects.toMatchObject({
      code: 'invalid-config',
      message: expect.stringMatching(/config.json: num_in_ch: expected 3, the channels of a picture, got 1$/),
    })
    const vae = path.join(folder, 'vae')
    await mkdir(vae)
    const config = await readFile(path.join(emoji, 'vae', 'config.json'), 'utf8')
    await writeFile(path.join(vae, 'config.json'), config.replace('"out_channels": 4', '"out_channels": 2'))
    const tensors = await readSafetensors(path.join(emoji, 'vae', WEIGHTS))
    const two = Object.entries(tensors).map(([name, tensor]) => {
      if (!name.startsWith('decoder.layers.18.')) return [name, tensor] as const
      const shape = [2, ...tensor.shape.slice(1)]
      return [name, { ...tensor, shape, data: tensor.data.slice(0, tensor.data.length / 2) } as Tensor] as const
    })
    await writeSafetensors(path.join(vae, WEIGHTS), Object.fromEntries(two))
    await expect(loadPipeline('emoji', { vae })).rejects.toMatchObject({
      code: 'invalid-config',
      message: expect.stringMatching(/config.json: out_channels: expected .*, got 2$/),
    })
  })
})

describe('command line', () => {
  const quick = ['--steps', '1', '--seed', '5', '--size', '64']
  const generate = (...args: string[]) => runCommand(['generate', ...args, ...quick], { cwd: folder })

  it('cuts out, and says so in the file', async () => {
    const { status, stderr } = await generate('apple', '--transparent', '-o', 'cut.png')
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(await sharp(path.join(folder, 'cut.png')).metadata()).toMatchObject({ channels: 4, width: 64 })
    expect(await readMetadata(path.join(folder, 'cut.png'))).toMatchObject({ transparent: true })
  })

  it('shows it on white', async () => {
    const args = ['apple', '--transparent', '--show', '-o', 'shown.png']
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
    expect(none.stderr).toMatch(
      /^irodori: invalid-option: transparent: expected false \(the decoder gives colours alone; .*\n$/,
    )
    expect(none.status).toBe(1)
    expect(await readdir(folder)).toEqual(before)
  })
})
