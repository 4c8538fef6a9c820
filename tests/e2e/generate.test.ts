/** The bundled model end to end: sizes, metadata, determinism, aborts, previews, concurrency. */

import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type GenerateOptions,
  type Image,
  loadPipeline,
  optionsFromMetadata,
  type Pipeline,
  readMetadata,
  type Stage,
} from '../../src'

let pipe: Pipeline
let folder = ''
beforeAll(async () => {
  pipe = await loadPipeline('emoji')
  folder = await mkdtemp(path.join(os.tmpdir(), 'irodori-e2e-'))
})
afterAll(async () => {
  await pipe[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const apple: GenerateOptions = { prompt: '赤いりんご', steps: 4, seed: 7 }

async function first(options: GenerateOptions, from = pipe): Promise<Image> {
  const [image] = (await from.generate(options)).images
  if (image === undefined) throw new Error('no picture')
  return image
}

function hash(image: Image | undefined): string {
  return createHash('sha256')
    .update(image?.data ?? '')
    .digest('hex')
}

/** Peak signal-to-noise ratio in dB; infinite for equal pictures. */
function psnr(a: Image, b: Image): number {
  expect(a.data.length).toBe(b.data.length)
  const squares = a.data.reduce((sum, value, i) => sum + (value - (b.data[i] ?? 0)) ** 2, 0)
  return -10 * Math.log10(squares / a.data.length / 255 ** 2)
}

/** Shares of red, green and blue among the pixels that are not white. */
function colour({ data }: Image): [red: number, green: number, blue: number] {
  const sums: [number, number, number] = [0, 0, 0]
  for (let i = 0; i < data.length; i += 3) {
    const [r = 0, g = 0, b = 0] = data.subarray(i, i + 3)
    if (Math.min(r, g, b) > 230) continue
    sums[0] += r
    sums[1] += g
    sums[2] += b
  }
  const total = sums[0] + sums[1] + sums[2]
  return [sums[0] / total, sums[1] / total, sums[2] / total]
}

describe('a picture', () => {
  it('is a PNG of the right size that says how to make it again', async () => {
    const image = await first(apple)
    const file = path.join(folder, 'apple.png')
    await image.save(file)
    const { format, width, height } = await sharp(file).metadata()
    expect({ format, width, height }).toEqual({ format: 'png', width: 512, height: 512 })
    const read = await readMetadata(file)
    expect(read).toMatchObject({ seed: 7, steps: 4, width: 512, model: { name: 'emoji' }, rng: 'philox' })
    if (read === undefined) throw new Error('no metadata')
    expect(read).not.toHaveProperty('schedule')
    expect(hash(await first({ prompt: apple.prompt, ...optionsFromMetadata(read) }))).toBe(hash(image))
  })

  it('is the same file, byte by byte, when made again from the metadata of one', async () => {
    const options = { ...apple, seed: 2n ** 60n, sampler: 'DPM++ 2M Karras', size: 128, guidance: 2 }
    const file = await (await first({ ...options, negativePrompt: 'green', metadata: { prompt: true } })).encode('png')
    const read = await readMetadata(file)
    expect(read).toMatchObject({ sampler: 'dpmpp2m', schedule: 'karras', seed: String(2n ** 60n) })
    if (read === undefined) throw new Error('no metadata')
    const again = await first({ prompt: 'replaced by the one in the metadata', ...optionsFromMetadata(read) })
    expect(Buffer.from(await again.encode('png')).equals(file)).toBe(true)
    expect(hash(again)).not.toBe(hash(await first({ ...options, sampler: 'DPM++ 2M', negativePrompt: 'green' })))
  })

  it('stands on white and has the colour of what it shows', async () => {
    const image = await first(apple)
    expect(Math.min(...image.data.subarray(0, 3))).toBeGreaterThan(240)
    const [red, green, blue] = colour(image)
    expect(red).toBeGreaterThan(green * 1.5)
    expect(red).toBeGreaterThan(blue * 1.5)
    const [, leaf] = colour(await first({ prompt: 'green apple', steps: 4, seed: 7 }))
    expect(leaf).toBeGreaterThan(green)
  })

  it.each([64, 128, 512])('comes in size %i, the same picture', async (size) => {
    const image = await first({ ...apple, size })
    expect([image.width, image.height, image.data.length]).toEqual([size, size, size * size * 3])
    const pixels = sharp(image.data, { raw: { width: size, height: size, channels: 3 } })
    const small = await pixels.resize(128, 128).raw().toBuffer()
    const native = await first({ ...apple, size: 128 })
    const worst = psnr(native, { ...native, data: new Uint8Array(small) })
    expect(worst).toBeGreaterThan(20)
  })

  it('follows the prompt, the seed, the sampler, guidance and steps', async () => {
    const base = hash(await first({ ...apple, size: 64 }))
    const changes = [
      { prompt: 'a rocket' },
      { seed: 8 },
      { steps: 5 },
      { guidance: 4 },
      { guidance: 1 },
      { sampler: 'heun' },
      { sampler: 'euler' },
      { negativePrompt: 'green' },
      { rng: 'torch-cpu' as const },
    ]
    const hashes = await Promise.all(
      changes.map(async (change) => hash(await first({ ...apple, size: 64, ...change }))),
    )
    expect(new Set([base, ...hashes]).size).toBe(changes.length + 1)
  })
})

describe('bits', () => {
  it('are the same twice, in a batch of 7, and beside other requests', async () => {
    const alone = hash(await first({ ...apple, seed: 12 }))
    expect(hash(await first({ ...apple, seed: 12 }))).toBe(alone)
    const { images } = await pipe.generate({ ...apple, seed: 9, count: 7 })
    expect(hash(images[3])).toBe(alone)
    expect(new Set(images.map(hash)).size).toBe(7)
    const others = ['a rocket', '寿司', 'pizza'].map((prompt) => first({ prompt, steps: 3 }))
    const [beside] = await Promise.all([first({ ...apple, seed: 12 }), ...others])
    expect(hash(beside)).toBe(alone)
  })

  it('are the same on 1, 2 and 4 threads', async () => {
    const hashes: string[] = []
    for (const threads of [1, 2, 4]) {
      const other = await loadPipeline('emoji', { threads })
      expect(other.info.device.threads).toBe(threads)
      hashes.push(hash(await first({ ...apple, count: 2 }, other)))
      other.dispose()
    }
    expect(new Set(hashes).size).toBe(1)
    expect(hashes[0]).toBe(hash(await first(apple)))
  })

  it('are near those of the reference device, of other kernels and of bf16', async () => {
    const small = { ...apple, size: 64, steps: 2 }
    const reference = await loadPipeline('emoji', { device: 'reference', dtype: 'f32' })
    const want = await first(small, reference)
    reference.dispose()
    for (const [instructions, dtype, limit] of [
      ['auto', 'f32', 50],
      ['portable', 'f32', 50],
      ['auto', 'bf16', 25],
    ] as const) {
      const other = await loadPipeline('emoji', { instructions, dtype })
      expect(other.info.dtype).toBe(dtype)
      expect(psnr(await first(small, other), want), `${instructions} ${dtype}`).toBeGreaterThan(limit)
      other.dispose()
    }
  })
})

describe('abort', () => {
  const stages: readonly Stage[] = ['text', 'denoise', 'decode', 'upscale']

  it.each(stages)('after the first news of %s ends the request, and the pipeline lives on', async (stage) => {
    const want = hash(await first(apple))
    const controller = new AbortController()
    const reached: Stage[] = []
    const work = (async () => {
      for await (const event of pipe.stream({ ...apple, count: 3, signal: controller.signal })) {
        if (event.type !== 'progress') continue
        reached.push(event.stage)
        if (event.stage === stage) controller.abort('enough')
      }
    })()
    await expect(work).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: 'enough' })
    expect(reached).toContain(stage)
    expect(hash(await first(apple))).toBe(want)
  })

  it('ends within a step', { retry: 2 }, async () => {
    const started = performance.now()
    const work = pipe.generate({ prompt: 'a rocket', steps: 1000, signal: AbortSignal.timeout(200) })
    await expect(work).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' })
    expect(performance.now() - started).toBeLessThan(5000)
  })

  it('while loading leaves nothing behind', async () => {
    await expect(loadPipeline('emoji', { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORT_ERR' })
    const controller = new AbortController()
    const loading = loadPipeline('emoji', { signal: controller.signal, onProgress: () => controller.abort() })
    await expect(loading).rejects.toMatchObject({ code: 'ABORT_ERR' })
  })
})

describe('stream', () => {
  it('shows previews that become the picture', async () => {
    const previews: Image[] = []
    let image: Image | undefined
    for await (const event of pipe.stream({ ...apple, steps: 8, size: 128, preview: { every: 1 } })) {
      if (event.type === 'preview') previews.push(event.image)
      if (event.type === 'image') image = event.image
    }
    expect(previews.length).toBe(7)
    const [start, end] = [previews[0], previews[6]]
    if (!start || !end || !image) throw new Error('pictures are missing')
    expect(psnr(end, image)).toBeGreaterThan(psnr(start, image))
    expect(psnr(end, image)).toBeGreaterThan(15)
  })
})

describe('warnings', () => {
  it('name the nearest labels when a prompt is far from all of them', async () => {
    const tiny = { steps: 1, size: 64 }
    const { warnings } = await pipe.generate({ prompt: 'the stock market crash of 1929', ...tiny })
    expect(warnings).toEqual([
      { code: 'far-from-training', message: expect.stringContaining('nearest'), nearest: expect.any(Array) },
    ])
    for (const prompt of ['赤いりんご', 'a rocket', '寿司', 'a happy cat', 'pizza']) {
      expect((await pipe.generate({ prompt, ...tiny })).warnings, prompt).toEqual([])
    }
  })

  it('tell of a prompt of 10,000 characters that was cut', async () => {
    const { warnings, images } = await pipe.generate({ prompt: 'りんご '.repeat(2500), steps: 1, size: 64 })
    expect(warnings).toMatchObject([{ code: 'prompt-truncated', tokens: 2502, limit: 16 }])
    expect(images.length).toBe(1)
  })
})

describe('memory', () => {
  it('is reported while open', async () => {
    const { weightsBytes, statesBytes, arenaBytes } = pipe.memory()
    expect(weightsBytes).toBeGreaterThan(20e6)
    expect(statesBytes).toBeGreaterThan(0)
    expect(arenaBytes).toBeGreaterThan(0)
  })
})
