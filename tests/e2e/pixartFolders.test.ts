/** Folders of PixArt's variants, made of the bundled model's parts and a small denoiser of random weights: they draw. */

import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadPipeline } from '../../src'
import { modelDefinition, neededTensors } from '../../src/models'
import { philoxNormals } from '../../src/tensor/philox'
import type { Tensor } from '../../src/tensor/tensor'
import { writeSafetensors } from '../../src/weights'

const emoji = path.resolve(__dirname, '..', '..', 'models', 'emoji')
const request = { prompt: 'a rocket', steps: 2, seed: 1, size: 64 }
let root = ''
beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'irodori-pixart-'))
})
afterAll(() => rm(root, { recursive: true, force: true }))

let folders = 0
/** The bundled model with another denoiser: one layer of width 48 (divisible by 3, as size conditions need). */
async function variant(changes: object): Promise<string> {
  const folder = path.join(root, `model-${folders++}`)
  await cp(emoji, folder, { recursive: true, filter: (source) => path.basename(source) !== 'transformer' })
  const own = JSON.parse(await readFile(path.join(emoji, 'transformer', 'config.json'), 'utf8'))
  const small = { num_layers: 1, num_attention_heads: 3, attention_head_dim: 16, cross_attention_dim: 48 }
  const config: Record<string, unknown> = { ...own, ...small, ...changes }
  const transformer = path.join(folder, 'transformer')
  await mkdir(transformer)
  await writeFile(path.join(transformer, 'config.json'), JSON.stringify(config))
  const definition = modelDefinition('PixArtTransformer2DModel', config)
  const place = { component: 'transformer' }
  const { graph } = definition.build(config, place, definition.ports(config, place).smallest)
  const tensors: Record<string, Tensor> = {}
  for (const [i, { name, shape }] of neededTensors(graph).entries()) {
    const [rows = 1, ...rest] = shape
    const width = rest.reduce((a, b) => a * b, 1)
    // Rows of the last layer are (p q C) over four pixels of a patch: a channel's are the same whatever C is.
    const stream = (row: number) => BigInt((row % (rows / 4)) * 4 + Math.floor(row / (rows / 4)) + 1000)
    const data = name.startsWith('proj_out')
      ? Array.from({ length: rows }, (_, row) => [...philoxNormals(1, stream(row), width)]).flat()
      : [...philoxNormals(1, BigInt(i), rows * width)]
    tensors[name] = { dtype: 'f32', shape, data: Float32Array.from(data, (z) => z / 20) }
  }
  await writeSafetensors(path.join(transformer, 'diffusion_pytorch_model.safetensors'), tensors)
  return folder
}

async function draw(folder: string): Promise<Uint8Array> {
  await using pipe = await loadPipeline(folder, { dtype: 'f32' })
  const [image] = (await pipe.generate(request)).images
  if (image === undefined) throw new Error('no picture')
  return image.data
}

describe('a denoiser', () => {
  it.each([
    ['that reads resolution and aspect ratio', { use_additional_conditions: true }],
    ['with as many channels as it reads, by null', { out_channels: null }],
  ])('%s draws', async (_, changes) => {
    const picture = await draw(await variant(changes))
    expect(new Set(picture).size).toBeGreaterThan(3)
  })

  it.each([
    [
      'of the 8 channels the class has by default',
      { out_channels: undefined },
      /out_channels: expected in_channels, 16/,
    ],
    ['that reads no text', { cross_attention_dim: null, caption_channels: null }, /caption_channels: expected 256/],
    ['that reads text of another width', { caption_channels: 128 }, /caption_channels: expected 256/],
  ])('%s is refused when it is loaded', async (_, changes, message) => {
    const loading = loadPipeline(await variant(changes))
    await expect(loading).rejects.toMatchObject({ name: 'EngineError', code: 'invalid-config' })
    await expect(loading).rejects.toThrow(message)
  })
})
