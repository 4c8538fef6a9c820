/** Stable Diffusion's folders with all that goes with them, on the small networks of the goldens: nothing is without effect. */

import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type GenerateOptions,
  type GenerateResult,
  type Image,
  type LoadPipelineOptions,
  loadPipeline,
  optionsFromMetadata,
  type Pipeline,
} from '../../src'
import { modelDefinition, neededTensors } from '../../src/models'
import { philoxNormals } from '../../src/tensor/philox'
import type { Tensor } from '../../src/tensor/tensor'
import { writeSafetensors } from '../../src/weights'

const goldens = path.resolve(__dirname, '..', 'golden', 'pipelines')
const emoji = path.resolve(__dirname, '..', '..', 'models', 'emoji')
const sd1 = path.join(goldens, 'sd1')
const request: GenerateOptions = { prompt: 'a boat', negativePrompt: 'b', size: 32, steps: 3, seed: 5, guidance: 3 }
const hint = { width: 32, height: 32, channels: 1 as const, data: Uint8Array.from({ length: 1024 }, (_, i) => i % 251) }

let root = ''
let pipe: Pipeline
beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'irodori-sd-'))
  pipe = await load()
})
afterAll(async () => {
  pipe.dispose()
  await rm(root, { recursive: true, force: true })
})

const load = (options: LoadPipelineOptions = {}, model = sd1) => loadPipeline(model, { dtype: 'f32', ...options })

async function first(options: GenerateOptions = request, from = pipe): Promise<Image> {
  const [image] = (await from.generate(options)).images
  if (image === undefined) throw new Error('no picture')
  return image
}

const numbers = ({ latents }: GenerateResult) => Array.from(latents?.data ?? [], Number)
const latentsOf = async (from: Pipeline, options: Partial<GenerateOptions> = {}) =>
  numbers(await from.generate({ ...request, output: 'latents', ...options }))

/** A picture made again from its own metadata. */
async function again({ metadata }: Image, from = pipe, pictures: Parameters<typeof optionsFromMetadata>[1] = {}) {
  if (metadata === undefined) throw new Error('no metadata')
  return first({ ...request, ...optionsFromMetadata(metadata, pictures) }, from)
}

/** A network's folder with weights drawn at random. */
async function component(name: string, className: string, config: Record<string, unknown>, part?: 'decoder') {
  const folder = path.join(root, name)
  await mkdir(folder, { recursive: true })
  await writeFile(path.join(folder, 'config.json'), JSON.stringify({ _class_name: className, ...config }))
  const definition = modelDefinition(className, config)
  const place = { component: 'vae', ...(part ? { part } : {}) }
  const { graph } = definition.build(config, place, definition.ports(config, place).smallest)
  const tensors: Record<string, Tensor> = {}
  for (const [i, { name: tensor, shape }] of neededTensors(graph).entries()) {
    const count = shape.reduce((a, b) => a * b, 1)
    const scale = (shape.slice(1).reduce((a, b) => a * b, 1) || 1) ** -0.5
    tensors[tensor] = { dtype: 'f32', shape, data: philoxNormals(3, BigInt(i), count).map((z) => z * scale) }
  }
  await writeSafetensors(path.join(folder, 'diffusion_pytorch_model.safetensors'), tensors)
  return folder
}

describe('a picture', () => {
  it('has the size asked for, sides apart, and is made again from its metadata', async () => {
    const image = await first({ ...request, size: { width: 40, height: 24 }, clipSkip: 1, promptSyntax: 'plain' })
    expect([image.width, image.height]).toEqual([40, 24])
    expect(image.metadata).toMatchObject({ width: 40, height: 24, clipSkip: 1, promptSyntax: 'plain', sampler: 'pndm' })
    expect((await again(image)).data).toEqual(image.data)
  })

  it('follows weights in its prompt unless told to read them as they are', async () => {
    const plain = await latentsOf(pipe, { prompt: 'a (boat:1.4)', promptSyntax: 'plain' })
    const weighted = await latentsOf(pipe, { prompt: 'a (boat:1.4)' })
    expect(weighted).not.toEqual(plain)
    expect(weighted).not.toEqual(await latentsOf(pipe, { prompt: 'a boat' }))
  })

  it('takes the size of the picture it starts from', async () => {
    const init = { width: 45, height: 33, data: new Uint8Array(45 * 33 * 3).fill(90) }
    const { width, height, metadata } = await first({ ...request, size: undefined, init })
    expect([width, height, metadata?.width]).toEqual([44, 32, 44])
  })

  it('comes as one of several that start from one picture', async () => {
    const options = { ...request, init: hint, strength: 0.7, sampler: 'ddim' }
    const { images } = await pipe.generate({ ...options, prompt: ['a boat', 'a'], seed: [5, 6] })
    expect(images[1]?.data).toEqual((await first({ ...options, prompt: 'a', seed: 6 })).data)
  })
})

describe('two passes', () => {
  it.each(['latent', 'picture'] as const)('enlarge the %s and are made again from the metadata', async (enlarge) => {
    const image = await first({ ...request, hires: { scale: 1.5, strength: 0.5, enlarge, steps: 4 } })
    expect([image.width, image.height]).toEqual([48, 48])
    expect(image.metadata).toMatchObject({
      asked: { width: 32 },
      hires: { scale: 1.5, strength: 0.5, enlarge, steps: 4 },
    })
    expect((await again(image)).data).toEqual(image.data)
  })

  it('tell of the evaluations of both', async () => {
    const events: string[] = []
    for await (const event of pipe.stream({ ...request, sampler: 'ddim', hires: { strength: 0.5, steps: 4 } })) {
      if (event.type === 'progress' && event.stage === 'denoise') events.push(`${event.done}/${event.of}`)
    }
    expect(events.at(-1)).toBe('5/5')
  })
})

describe('tiles', () => {
  it('are recorded, change little, and are made again', async () => {
    const options = { ...request, size: 192, steps: 1 }
    const whole = await first({ ...options, tiling: false })
    const tiled = await first({ ...options, tiling: { size: 128, overlap: 0.25 } })
    expect(tiled.metadata).toMatchObject({ tiling: { size: 128, overlap: 0.25 } })
    expect(whole.metadata).not.toHaveProperty('tiling')
    expect(tiled.data).not.toEqual(whole.data)
    const far =
      tiled.data.reduce((sum, value, i) => sum + Math.abs(value - (whole.data[i] ?? 0)), 0) / tiled.data.length
    expect(far).toBeLessThan(30) // random networks have no such borders as trained ones, but norms see other pictures
    expect((await again(tiled)).data).toEqual(tiled.data)
    const encoded = await latentsOf(pipe, { init: whole, size: 192, steps: 2, strength: 0.5, tiling: { size: 128 } })
    expect(encoded).not.toEqual(
      await latentsOf(pipe, { init: whole, size: 192, steps: 2, strength: 0.5, tiling: false }),
    )
  })
})

describe('ControlNets', () => {
  it('are named in metadata, and outside every interval nothing of them is left', async () => {
    using steered = await load({ controlNets: ['controlnet-a', 'controlnet-b'].map((net) => path.join(goldens, net)) })
    const control = [{ image: hint, scale: 0.5 }]
    const image = await first({ ...request, control }, steered)
    expect(image.metadata?.control).toMatchObject([
      { scale: 0.5, interval: [0, 1], net: expect.stringMatching(/^controlnet-a [0-9a-f]{16}$/) },
    ])
    expect((await again(image, steered, { control: [hint] })).data).toEqual(image.data)
    const plain = await latentsOf(pipe)
    expect(await latentsOf(steered)).toEqual(plain)
    expect(await latentsOf(steered, { control })).not.toEqual(plain)
    const passes = { hires: { scale: 1.5, strength: 0.5, steps: 4 } }
    expect(await latentsOf(steered, { control, ...passes })).not.toEqual(await latentsOf(steered, passes))
    // No evaluation lies wholly within it.
    expect(await latentsOf(steered, { control: [{ image: hint, interval: [0.3, 0.4] }] })).toEqual(plain)
    expect(await latentsOf(steered, { control: [{ image: hint, scale: 0 }] })).toEqual(plain)
  })
})

describe('other networks', () => {
  it('another autoencoder draws other pictures of the same latents, under another hash', async () => {
    using other = await load({ vae: path.join(goldens, 'sdxl', 'vae') })
    expect(await latentsOf(other)).toEqual(await latentsOf(pipe))
    expect((await first(request, other)).data).not.toEqual((await first()).data)
    expect(other.info.modelHash).not.toBe(pipe.info.modelHash)
  })

  it('a tiny decoder shows what is to come', async () => {
    const half = { latent_channels: 4, num_decoder_blocks: [1, 1], decoder_block_out_channels: [8, 8] }
    const config = { ...half, num_encoder_blocks: [1, 1], encoder_block_out_channels: [8, 8] }
    const previewDecoder = await component('taesd', 'AutoencoderTiny', config, 'decoder')
    using shown = await load({ previewDecoder })
    const previews: Image[] = []
    for await (const event of shown.stream({ ...request, sampler: 'ddim', preview: { every: 1 } })) {
      if (event.type === 'preview') previews.push(event.image)
    }
    expect(previews.map(({ width, height }) => [width, height])).toEqual(Array(2).fill([32, 32]))
    expect(previews[0]?.data).not.toEqual(previews[1]?.data)
    await expect(pipe.stream({ ...request, preview: {} }).next()).rejects.toThrow(/no previewDecoder was loaded/)
  })

  it('an upscaler enlarges what was asked to be', async () => {
    using larger = await load({ upscaler: path.join(emoji, 'upscaler') })
    const image = await first({ ...request, upscale: 3 }, larger)
    expect([image.width, image.height]).toEqual([96, 96])
    expect(image.metadata).toMatchObject({ asked: { width: 32 }, upscale: 3 })
    expect((await again(image, larger)).data).toEqual(image.data)
    expect((await first(request, larger)).data).toEqual((await first()).data)
  })
})

describe('LoRAs', () => {
  const down = 'lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q'
  async function lora(name: string, width = 16): Promise<string> {
    const file = path.join(root, name)
    const tensor = (shape: number[], stream: bigint): Tensor => ({
      dtype: 'f32',
      shape,
      data: philoxNormals(
        9,
        stream,
        shape.reduce((a, b) => a * b, 1),
      ),
    })
    await writeSafetensors(file, {
      [`${down}.lora_down.weight`]: tensor([2, width], 1n),
      [`${down}.lora_up.weight`]: tensor([width, 2], 2n),
    })
    return file
  }

  it('change the pictures by their weight, come off again, and share what they leave alone', async () => {
    const file = await lora('style.safetensors')
    const plain = await latentsOf(pipe)
    const before = pipe.memory().weightsBytes
    using styled = await pipe.withLoras([{ file, scale: 0.8 }])
    const changed = await latentsOf(styled)
    expect(changed).not.toEqual(plain)
    expect(pipe.memory().weightsBytes - before).toBeLessThan(before / 10)
    using loaded = await load({ loras: [{ file, scale: 0.8 }] })
    expect(await latentsOf(loaded)).toEqual(changed)
    const image = await first(request, loaded)
    expect(image.metadata?.loras).toMatchObject([{ name: 'style', scale: 0.8 }])
    using other = await styled.withLoras([{ file, scale: -0.8 }])
    expect(await latentsOf(other)).not.toEqual(changed)
    using off = await styled.withLoras([])
    expect(await latentsOf(off)).toEqual(plain)
    expect(await latentsOf(pipe)).toEqual(plain)
  })

  it('of another family are refused, and the pipeline lives on', async () => {
    const file = await lora('large.safetensors', 320)
    await expect(pipe.withLoras([{ file }])).rejects.toMatchObject({ code: 'lora-mismatch' })
    await expect(pipe.withLoras([{ file: '' }])).rejects.toThrow(/loras\[0\].file: expected a safetensors file/)
    expect((await first()).width).toBe(32)
  })

  it('end with the pipeline they were put on', async () => {
    const base = await load()
    const styled = await base.withLoras([{ file: await lora('third.safetensors') }])
    base.dispose()
    await expect(styled.generate(request)).rejects.toMatchObject({ code: 'disposed' })
  })
})

describe('inpainting models', () => {
  it('draw only with a picture and a mask', async () => {
    using inpaint = await load({}, path.join(goldens, 'inpaint'))
    await expect(inpaint.generate(request)).rejects.toThrow(/init: expected a picture/)
    await expect(inpaint.generate({ ...request, init: hint })).rejects.toThrow(/mask: expected a mask/)
    const mask = { ...hint, data: hint.data.map((_, i) => (i % 32 < 16 ? 255 : 0)) }
    const image = await first({ ...request, init: hint, mask, maskBlur: 0, size: 32 }, inpaint)
    expect(image.data[31 * 3]).toBe(hint.data[31])
    expect((await again(image, inpaint, { init: hint, mask })).data).toEqual(image.data)
  })
})

describe('networks that do not belong together', () => {
  it('are refused when they are loaded', async () => {
    const folder = path.join(root, 'mixed')
    await cp(sd1, folder, { recursive: true, filter: (source) => path.basename(source) !== 'text_encoder' })
    await cp(path.join(emoji, 'text_encoder'), path.join(folder, 'text_encoder'), { recursive: true })
    await expect(load({}, folder)).rejects.toThrow(/cross_attention_dim: expected 256, the width of .*, got 32/)
    const vae = path.join(emoji, 'vae')
    await expect(load({ vae })).rejects.toThrow(/latent_channels: expected 4, as the denoiser, got 16/)
    const controlNets = [path.join(emoji, 'transformer')]
    await expect(load({ controlNets })).rejects.toThrow(/expected the class ControlNetModel, got PixArt/)
  })
})
