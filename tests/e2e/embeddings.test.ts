/** Embeddings (textual inversion) of a pipeline: what prompts make of them, what files are refused. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type Device,
  type GenerateOptions,
  type LoadPipelineOptions,
  loadPipeline,
  openDevice,
  optionsFromMetadata,
  type Pipeline,
  readSafetensors,
} from '../../src'
import { philoxNormals } from '../../src/tensor/philox'
import type { Tensor } from '../../src/tensor/tensor'
import { toFloat32 } from '../../src/tensor/widen'
import { loadClipTokenizer } from '../../src/text/clipTokenizer'
import { writeSafetensors } from '../../src/weights'

const models = path.resolve(__dirname, '..', 'golden', 'pipelines')
const emoji = path.resolve(__dirname, '..', '..', 'models', 'emoji')
const D = 32
const request: GenerateOptions = { prompt: 'a boat', size: 32, steps: 2, seed: 5, guidance: 3 }

let root = ''
let device: Device
let catToy = ''
let pipe: Pipeline
beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'irodori-embeddings-'))
  device = openDevice()
  catToy = await embedding('cat-toy', { emb_params: vectors(2, 1n) })
  pipe = await load({ inversions: [{ file: catToy }] })
})
afterAll(async () => {
  pipe?.dispose()
  device?.dispose()
  await rm(root, { recursive: true, force: true })
})

const load = (options: LoadPipelineOptions, model = path.join(models, 'sd1')) =>
  loadPipeline(model, { device, dtype: 'f32', ...options })

const vectors = (count: number, stream: bigint, width = D): Tensor => ({
  dtype: 'f32',
  shape: [count, width],
  data: philoxNormals(9, stream, count * width),
})

async function embedding(name: string, tensors: Readonly<Record<string, Tensor>>): Promise<string> {
  const file = path.join(root, `${name}.safetensors`)
  await writeSafetensors(file, tensors)
  return file
}

const latentsOf = async (options: Partial<GenerateOptions>, from = pipe) =>
  Array.from((await from.generate({ ...request, output: 'latents', ...options })).latents?.data ?? [], Number)

describe('a word that stands for an embedding', () => {
  it('means its vectors in prompts and negative prompts, with weights, whatever its case', async () => {
    const plain = await latentsOf({ prompt: 'a boat' })
    const { weightsBytes } = pipe.memory()
    const toy = await latentsOf({ prompt: 'a cat-toy' })
    expect(pipe.memory().weightsBytes).toBe(weightsBytes) // the encoder with room for vectors has the same weights
    expect(toy).not.toEqual(plain)
    expect(await latentsOf({ prompt: 'a CAT-TOY' })).toEqual(toy)
    expect(await latentsOf({ prompt: 'a (cat-toy:1.5)' })).not.toEqual(toy)
    expect(await latentsOf({ prompt: 'a boat', negativePrompt: 'cat-toy' })).not.toEqual(plain)
    using none = await load({})
    expect(await latentsOf({ prompt: 'a boat' }, none)).toEqual(plain)
    expect(await latentsOf({ prompt: 'a cat-toy' }, none)).not.toEqual(toy)
  })

  it('may be given, and two of them do not get mixed up', async () => {
    const dog = await embedding('other', { '<dog>': vectors(2, 2n) })
    using both = await load({ inversions: [{ file: catToy, name: 'x1' }, { file: dog }] })
    const toy = await latentsOf({ prompt: 'a cat-toy' })
    expect(await latentsOf({ prompt: 'a x1' }, both)).toEqual(toy)
    const dogs = await latentsOf({ prompt: 'a <dog>' }, both)
    expect(dogs).not.toEqual(toy)
    const together = await latentsOf({ prompt: ['a x1', 'a <dog>'], seed: [5, 5] }, both)
    expect(together).toEqual([...toy, ...dogs])
  })

  it.each(['f32', 'bf16'] as const)('gives the bits of a word whose row its vector is, in %s', async (dtype) => {
    const sd1 = path.join(models, 'sd1')
    const [id = 0] = await (await loadClipTokenizer(path.join(sd1, 'tokenizer'))).encode('q')
    const weights = await readSafetensors(path.join(sd1, 'text_encoder', 'model.safetensors'))
    const [, table] = Object.entries(weights).find(([name]) => name.endsWith('token_embedding.weight')) ?? []
    if (table === undefined) throw new Error('no token table')
    const data = toFloat32(table).slice(id * D, (id + 1) * D)
    const file = await embedding('copy', { '<q>': { dtype: 'f32', shape: [D], data } })
    using copies = await load({ dtype, inversions: [{ file }] })
    expect(await latentsOf({ prompt: 'a <q>, at b' }, copies)).toEqual(await latentsOf({ prompt: 'a q, at b' }, copies))
  })

  it('reaches the second window of a long prompt, clip skip too', async () => {
    const long = 'a'.repeat(70)
    const toy = await latentsOf({ prompt: `${long} aaaa cat-toy` })
    expect(toy).not.toEqual(await latentsOf({ prompt: `${long} aaaa` }))
    expect(await latentsOf({ prompt: 'cat-toy', clipSkip: 1 })).not.toEqual(await latentsOf({ prompt: 'cat-toy' }))
  })

  it('gives both encoders of SDXL their vectors', async () => {
    const files = await Promise.all([
      embedding('l', { clip_l: vectors(2, 3n), clip_g: vectors(2, 4n) }),
      embedding('g', { clip_l: vectors(2, 3n), clip_g: vectors(2, 5n) }),
      embedding('k', { clip_l: vectors(2, 6n), clip_g: vectors(2, 4n) }),
    ])
    using sdxl = await load(
      { inversions: files.map((file, i) => ({ file, name: `w${i}` })) },
      path.join(models, 'sdxl'),
    )
    const made = [await latentsOf({ prompt: 'w0' }, sdxl), await latentsOf({ prompt: 'w1' }, sdxl)]
    made.push(await latentsOf({ prompt: 'w2' }, sdxl))
    expect(new Set(made.map((latents) => JSON.stringify(latents))).size).toBe(3)
  })
})

describe('metadata', () => {
  it('name the embedding, the model stays the same, and the picture is made again', async () => {
    const [image] = (await pipe.generate({ ...request, prompt: 'a cat-toy' })).images
    const { metadata } = image ?? {}
    if (metadata === undefined) throw new Error('no metadata')
    expect(metadata.inversions).toEqual([{ name: 'cat-toy', hash: expect.stringMatching(/^[0-9a-f]{16}$/) }])
    const [again] = (await pipe.generate({ prompt: 'a cat-toy', ...optionsFromMetadata(metadata) })).images
    expect(again?.data).toEqual(image?.data)
    using none = await load({})
    expect(pipe.info.modelHash).toBe(none.info.modelHash)
    expect((await none.generate(request)).images[0]?.metadata).not.toHaveProperty('inversions')
  })

  it('have the hash of the file, not of its name in prompts', async () => {
    const other = await embedding('cat-toy-2', { emb_params: vectors(2, 7n) })
    using renamed = await load({ inversions: [{ file: catToy, name: 'x1' }, { file: other }] })
    const [mine] = (await pipe.generate(request)).images
    const [image] = (await renamed.generate(request)).images
    const [first, second] = image?.metadata?.inversions ?? []
    expect(first).toEqual({ name: 'x1', hash: mine?.metadata?.inversions?.[0]?.hash })
    expect(second?.hash).not.toBe(first?.hash)
  })
})

describe('withLoras', () => {
  it('keeps the embeddings', async () => {
    using other = await pipe.withLoras([])
    expect(await latentsOf({ prompt: 'a cat-toy' }, other)).toEqual(await latentsOf({ prompt: 'a cat-toy' }))
  })
})

describe('refused', () => {
  const refusal = (inversions: unknown, model?: string) =>
    load({ inversions: inversions as LoadPipelineOptions['inversions'] }, model).then(
      () => 'loaded',
      (error: { code: string; message: string }) => `${error.code}: ${error.message}`,
    )

  it('are vectors of another width, or for other encoders', async () => {
    const wide = await embedding('wide', { emb_params: vectors(1, 1n, 48) })
    const two = await embedding('two', { clip_l: vectors(1, 1n), clip_g: vectors(1, 2n) })
    expect(await refusal([{ file: wide }])).toMatch(
      /^invalid-option: .*wide: expected vectors of 32 numbers, as the model's text encoders, got 48$/,
    )
    expect(await refusal([{ file: two }])).toMatch(/^invalid-option: .*expected vectors of 32 numbers.*got 32 and 32$/)
    expect(await refusal([{ file: catToy }], path.join(models, 'sdxl'))).toMatch(
      /^invalid-option: .*expected vectors of 32 and 32 numbers.*got 32$/,
    )
  })

  it('are a name twice, no list, no file, other options', async () => {
    const upper = await embedding('CAT-TOY-upper', { 'Cat-Toy': vectors(1, 1n) })
    expect(await refusal([{ file: catToy }, { file: upper }])).toMatch(
      /^invalid-option: inversions\[1\]: .*upper.*: expected a name of its own, got "Cat-Toy", which stands for .*cat-toy/,
    )
    expect(await refusal({ file: catToy })).toMatch(/^invalid-option: inversions: expected a list of \{ file, name \}/)
    expect(await refusal([{}])).toMatch(/^invalid-option: inversions\[0\].file: expected a safetensors file/)
    expect(await refusal([{ file: catToy, name: 3 }])).toMatch(/^invalid-option: name: expected/)
    expect(await refusal([{ file: catToy, token: 'x' }])).toMatch(/^unknown-option: inversions\[0\]: .*got token/)
    expect(await refusal([{ file: 'nowhere.safetensors' }])).toMatch(/^missing-file: nowhere.safetensors: /)
    expect(await refusal([{ file: path.join(models, 'make.py') }])).toMatch(/^invalid-safetensors/)
    const pickled = path.join(root, 'old.pt')
    await writeFile(pickled, Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0))
    expect(await refusal([{ file: pickled }])).toMatch(
      /^unsupported-format: .*old\.pt: expected safetensors.*'string_to_param'/,
    )
    const network = path.join(models, 'sd1', 'vae', 'diffusion_pytorch_model.safetensors')
    expect(await refusal([{ file: network }])).toMatch(/^unsupported-format: .*expected emb_params, /)
  })

  it('are embeddings for a model that reads none', async () => {
    expect(await refusal([{ file: catToy }], emoji)).toMatch(
      /^invalid-option: inversions: expected none, as the model reads no embeddings, got 1/,
    )
  })
})
