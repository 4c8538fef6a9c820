/** The bundled model from pictures: image to image, inpainting, several prompts at once, latents; and again from metadata. */

import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type GenerateOptions,
  type Image,
  loadPipeline,
  optionsFromMetadata,
  type Pipeline,
  readMetadata,
} from '../../src'

let pipe: Pipeline
let apple: Image
beforeAll(async () => {
  pipe = await loadPipeline('emoji')
  apple = await first({ prompt: '赤いりんご', steps: 4, seed: 7, size: 64 })
})
afterAll(() => pipe[Symbol.asyncDispose]())

async function first(options: GenerateOptions): Promise<Image> {
  const [image] = (await pipe.generate(options)).images
  if (image === undefined) throw new Error('no picture')
  return image
}

const hash = (image: Image) => createHash('sha256').update(image.data).digest('hex')

/** Root mean square difference of two pictures' bytes. */
function distance(a: Image, b: Image): number {
  expect(a.data.length).toBe(b.data.length)
  return Math.sqrt(a.data.reduce((sum, value, i) => sum + (value - (b.data[i] ?? 0)) ** 2, 0) / a.data.length)
}

const numbers = (tensor: { readonly data: ArrayLike<number | bigint> } | undefined) =>
  Array.from(tensor?.data ?? [], Number)

/** The left half is drawn anew. */
const leftHalf = {
  width: 64,
  height: 64,
  channels: 1 as const,
  data: Uint8Array.from({ length: 64 * 64 }, (_, i) => (i % 64 < 32 ? 255 : 0)),
}
const pear: GenerateOptions = { prompt: 'green apple', steps: 8, seed: 3, size: 64 }

describe('image to image', () => {
  it('moves further from its start the stronger it is, and takes its share of the steps', async () => {
    const distances: number[] = []
    for (const strength of [0.2, 0.5, 0.9]) {
      const steps: number[] = []
      for await (const event of pipe.stream({ ...pear, init: apple, strength })) {
        if (event.type === 'progress' && event.stage === 'denoise') steps.push(event.of)
        if (event.type === 'image') distances.push(distance(event.image, apple))
      }
      expect(steps.at(-1)).toBe(Math.ceil(8 * strength)) // the model is a flow: diffusers' pipelines round up
    }
    expect(distances).toEqual([...distances].sort((a, b) => a - b))
    expect(distances[0]).toBeGreaterThan(0)
  })

  it('is made again from its metadata and the picture', async () => {
    const image = await first({ ...pear, init: apple, strength: 0.5, size: 128 })
    const metadata = await readMetadata(await image.encode('png'))
    if (metadata === undefined) throw new Error('no metadata')
    expect(metadata.init).toMatchObject({ strength: 0.5, hash: expect.stringMatching(/^[0-9a-f]{16}$/) })
    const again = await first({ prompt: 'green apple', ...optionsFromMetadata(metadata, { init: apple }) })
    expect(hash(again)).toBe(hash(image))
    expect(again.metadata).toEqual(image.metadata)
    expect(() => optionsFromMetadata(metadata)).toThrow(/expected the picture it was made of as init, got "none"/)
  })
})

describe('inpainting', () => {
  it('keeps every byte where the mask is black, and draws the rest', async () => {
    const image = await first({ ...pear, init: apple, mask: leftHalf, maskBlur: 0 })
    let [kept, changed] = [0, 0]
    for (let i = 0; i < apple.data.length; i++) {
      const isLeft = Math.floor(i / 3) % 64 < 32
      if (!isLeft) expect(image.data[i]).toBe(apple.data[i])
      else if (image.data[i] === apple.data[i]) kept++
      else changed++
    }
    expect(changed).toBeGreaterThan(kept / 4)
  })

  it('keeps the latent of the rest, so that both sides fit together', async () => {
    const options = { ...pear, init: apple, output: 'latents' as const }
    const { latents } = await pipe.generate({ ...options, mask: leftHalf })
    const { latents: whole } = await pipe.generate({ ...options, strength: 0.13 }) // one step of eight
    expect(latents?.shape).toEqual([1, 16, 16, 16])
    const right = (i: number) => i % 16 >= 8
    const differences = numbers(latents).map((value, i) => Math.abs(value - (numbers(whole)[i] ?? 0)))
    const mean = (side: boolean) => {
      const some = differences.filter((_, i) => right(i) === side)
      return some.reduce((sum, value) => sum + value, 0) / some.length
    }
    expect(mean(true)).toBeLessThan(mean(false) / 4)
  })

  it('is made again from its metadata and the pictures', async () => {
    const image = await first({ ...pear, init: apple, mask: leftHalf, strength: 0.8, maskBlur: 3 })
    if (image.metadata === undefined) throw new Error('no metadata')
    const given = { init: apple, mask: leftHalf }
    const again = await first({ prompt: 'green apple', ...optionsFromMetadata(image.metadata, given) })
    expect(hash(again)).toBe(hash(image))
  })
})

describe('several prompts', () => {
  it('give each picture the bits it has alone', async () => {
    const prompt = ['a rocket', '寿司', 'a happy cat']
    const { images, seeds } = await pipe.generate({ prompt, steps: 3, seed: [5, 6, 7], size: 64, count: 2 })
    expect(seeds).toEqual([5, 6, 6, 7, 7, 8])
    const alone = await first({ prompt: 'a happy cat', steps: 3, seed: 8, size: 64 })
    expect(hash(images[5] ?? alone)).toBe(hash(alone))
    expect(new Set(images.map(hash)).size).toBe(6)
    expect(images[2]?.metadata).toMatchObject({ seed: 6 })
  })
})

describe('latents', () => {
  it('come in place of pictures, as the frameworks lay them out', async () => {
    const { images, latents } = await pipe.generate({ prompt: 'apple', seed: 1, count: 2, steps: 2, output: 'latents' })
    expect(images).toEqual([])
    expect(latents).toMatchObject({ dtype: 'f32', shape: [2, 16, 16, 16] })
    expect(latents?.data.every((value) => Number.isFinite(value))).toBe(true)
    const kinds: string[] = []
    for await (const event of pipe.stream({ prompt: 'apple', seed: 1, steps: 2, output: 'latents' })) {
      kinds.push(event.type)
      if (event.type === 'done') expect(event.latents?.data).toEqual(latents?.data.slice(0, 4096))
    }
    expect(kinds).not.toContain('image')
  })
})
