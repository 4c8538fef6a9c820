/** Whole pipelines against diffusers: latents of every case after its steps, and batches that give the bits of one. */

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Device, type GenerateOptions, loadPipeline, openDevice, type Pipeline } from '../../../src'
import type { Tensor } from '../../../src/tensor/tensor'
import { readTensors } from '../../../src/weights'
import { numbers, readHeader, relativeL2 } from '../cases'

const root = __dirname

/** One run of diffusers; pictures in its options are names of tensors of its file. */
interface PipelineCase {
  readonly case: string
  readonly model: string
  readonly file: string
  readonly options: Omit<GenerateOptions, 'control'> & {
    readonly control?: readonly {
      readonly image: string
      readonly scale: number
      readonly interval: [number, number]
    }[]
  }
}
const manifest: { readonly cases: readonly PipelineCase[]; readonly tolerance: number } = JSON.parse(
  readFileSync(path.join(root, 'MANIFEST.json'), 'utf8'),
)

let device: Device
const pipes = new Map<string, Promise<Pipeline>>()
beforeAll(() => {
  device = openDevice({ device: 'cpu' })
})
afterAll(async () => {
  for (const pipe of pipes.values()) (await pipe).dispose()
  device.dispose()
})

function load(model: string): Promise<Pipeline> {
  const nets = model === 'sd1' ? ['controlnet-a', 'controlnet-b'] : []
  const controlNets = nets.map((net) => path.join(root, net))
  const pipe = pipes.get(model) ?? loadPipeline(path.join(root, model), { device, dtype: 'f32', controlNets })
  pipes.set(model, pipe)
  return pipe
}

/** A tensor of bytes as a picture. Shape [H, W] or [H, W, C]. */
function picture(tensor: Tensor | undefined) {
  const [height = 0, width = 0, channels = 1] = tensor?.shape ?? []
  if (!(tensor?.data instanceof Uint8Array) || (channels !== 1 && channels !== 3)) throw new TypeError('no picture')
  return { height, width, channels, data: tensor.data } as const
}

function optionsOf({ options }: PipelineCase, tensors: Readonly<Record<string, Tensor>>): GenerateOptions {
  const { init, mask, control, ...rest } = options
  return {
    ...rest,
    ...(init ? { init: picture(tensors.image) } : {}),
    ...(mask ? { mask: picture(tensors.mask) } : {}),
    ...(control ? { control: control.map((one) => ({ ...one, image: picture(tensors[one.image]) })) } : {}),
    rng: 'torch-cpu',
    output: 'latents',
  }
}

describe('diffusers', () => {
  it.each(manifest.cases)('$case', async (golden) => {
    const tensors = await readTensors(await readHeader(path.join(root, golden.file)))
    const pipe = await load(golden.model)
    const { latents } = await pipe.generate(optionsOf(golden, tensors))
    expect(latents?.shape).toEqual(tensors.latents?.shape)
    expect(relativeL2(numbers(latents), numbers(tensors.latents))).toBeLessThan(manifest.tolerance)
  })
})

describe('prompts of 20, 100 and 200 tokens', () => {
  const prompt = [20, 100, 200].map((tokens) => 'a'.repeat(tokens))
  const options = { size: 32, steps: 3, output: 'latents', guidance: 4, rng: 'philox' } as const

  it.each(['sd1', 'sdxl'])('share a batch of %s, and each gives the bits it gives alone', async (model) => {
    const pipe = await load(model)
    const seed = [1, 2, 3]
    const rows: number[] = []
    for await (const event of pipe.stream({ ...options, prompt, seed })) {
      if (event.type !== 'done') continue
      const all = numbers(event.latents)
      const size = all.length / prompt.length
      for (const [i, one] of prompt.entries()) {
        const { latents } = await pipe.generate({ ...options, prompt: one, seed: seed[i] ?? 0 })
        expect(numbers(latents)).toEqual(all.slice(i * size, (i + 1) * size))
        rows.push(all.length)
      }
    }
    expect(rows.length).toBe(prompt.length)
    const { latents } = await pipe.generate({ ...options, prompt: 'a'.repeat(60), seed: 3 })
    const cut = await pipe.generate({ ...options, prompt: 'a'.repeat(76), seed: 3 })
    expect(relativeL2(numbers(cut.latents), numbers(latents))).toBeGreaterThan(1e-3) // what is beyond 75 is read
  })
})
