/** Misuse of loading and generating: every case gets an EngineError with a code and a place, and the process lives on. */

import { cp, mkdtemp, open, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type LoadPipelineOptions, loadPipeline, type Pipeline } from '../../src'

const emoji = path.resolve(__dirname, '..', '..', 'models', 'emoji')
let root = ''
let pipe: Pipeline
let before: Uint8Array
let copies = 0

const small = { prompt: 'a rocket', steps: 1, seed: 1, size: 64 }

async function draw(): Promise<Uint8Array> {
  const [image] = (await pipe.generate(small)).images
  if (image === undefined) throw new Error('no picture')
  return image.data
}

beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'irodori-bad-'))
  pipe = await loadPipeline('emoji')
  before = await draw()
})
afterEach(async () => {
  expect(await draw(), 'a pipeline beside it draws as before').toEqual(before)
})
afterAll(async () => {
  pipe.dispose()
  await rm(root, { recursive: true, force: true })
})

/** A copy of the bundled model to be damaged. */
async function copyModel(): Promise<string> {
  const folder = path.join(root, `model-${copies++}`)
  await cp(emoji, folder, { recursive: true })
  return folder
}

async function editJson(file: string, changes: object): Promise<void> {
  const text = (await readFile(file, 'utf8')).replaceAll('-Infinity', '-1e308')
  await writeFile(file, JSON.stringify({ ...JSON.parse(text), ...changes }))
}

/** Overwrites a safetensors header: 8 bytes of length, then JSON padded with spaces. */
async function editHeader(file: string, edit: (header: Record<string, { data_offsets: number[] }>) => void) {
  const bytes = await readFile(file)
  const size = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.subarray(8, 8 + size).toString('utf8'))
  delete header.__metadata__
  edit(header)
  const text = Buffer.from(JSON.stringify(header).padEnd(size))
  expect(text.length).toBe(size)
  const handle = await open(file, 'r+')
  await handle.write(text, 0, size, 8)
  await handle.close()
}

const transformer = 'transformer/diffusion_pytorch_model.safetensors'

/** Name, what is done to the folder, the code, and what the message must name. */
const damages: readonly (readonly [string, (folder: string) => Promise<unknown>, string, RegExp])[] = [
  ['no model_index.json', (f) => rm(path.join(f, 'model_index.json')), 'unsupported-model', /PixArtAlphaPipeline/],
  [
    'a model_index.json that is no JSON',
    (f) => writeFile(path.join(f, 'model_index.json'), '{'),
    'invalid-config',
    /model_index.json/,
  ],
  [
    'another pipeline',
    (f) => editJson(path.join(f, 'model_index.json'), { _class_name: 'FluxPipeline' }),
    'unsupported-model',
    /got FluxPipeline/,
  ],
  ['no transformer', (f) => rm(path.join(f, 'transformer'), { recursive: true }), 'unknown-component', /transformer/],
  ['no weights', (f) => rm(path.join(f, transformer)), 'missing-file', /transformer/],
  ['weights cut in half', (f) => truncate(path.join(f, transformer), 9_000_000), 'invalid-safetensors', /transformer/],
  ['weights cut in the header', (f) => truncate(path.join(f, transformer), 1000), 'invalid-safetensors', /transformer/],
  ['empty weights', (f) => truncate(path.join(f, transformer), 0), 'invalid-safetensors', /transformer/],
  [
    'weights that are text',
    (f) => writeFile(path.join(f, transformer), 'hello world'),
    'invalid-safetensors',
    /transformer/,
  ],
  [
    'a tensor out of range',
    (f) =>
      editHeader(path.join(f, transformer), (header) => {
        const [entry] = Object.values(header)
        if (entry)
          entry.data_offsets = [90_000_000, 90_000_000 + ((entry.data_offsets[1] ?? 0) - (entry.data_offsets[0] ?? 0))]
      }),
    'invalid-safetensors',
    /data_offsets|range|transformer/,
  ],
  [
    'a tensor too few',
    (f) => editJson(path.join(f, 'transformer/config.json'), { num_layers: 9 }),
    'missing-tensor',
    /transformer_blocks\.8/,
  ],
  [
    'another width',
    (f) => editJson(path.join(f, 'transformer/config.json'), { attention_head_dim: 16, cross_attention_dim: 128 }),
    'shape-mismatch',
    /expected|got/,
  ],
  [
    'a config with a strange field',
    (f) => editJson(path.join(f, 'transformer/config.json'), { rotary: true }),
    'invalid-config',
    /rotary/,
  ],
  [
    'a config with a wrong type',
    (f) => editJson(path.join(f, 'text_encoder/config.json'), { hidden_size: '256' }),
    'invalid-config',
    /hidden_size/,
  ],
  ['no tokenizer', (f) => rm(path.join(f, 'tokenizer/tokenizer.json')), 'missing-file', /tokenizer.json/],
  [
    'a broken tokenizer',
    (f) => writeFile(path.join(f, 'tokenizer/tokenizer.json'), '{"model":{}}'),
    'invalid-tokenizer',
    /tokenizer.json/,
  ],
  ['no scheduler', (f) => rm(path.join(f, 'scheduler'), { recursive: true }), 'missing-file', /scheduler_config.json/],
  [
    'an unknown scheduler',
    (f) => editJson(path.join(f, 'scheduler/scheduler_config.json'), { _class_name: 'MagicScheduler' }),
    'unsupported-model',
    /MagicScheduler/,
  ],
  [
    'defaults out of range',
    (f) => editJson(path.join(f, 'irodori.json'), { steps: -1 }),
    'invalid-config',
    /irodori.json: steps/,
  ],
  [
    'defaults with a strange field',
    (f) => editJson(path.join(f, 'irodori.json'), { stpes: 1 }),
    'invalid-config',
    /stpes/,
  ],
  ['broken labels', (f) => writeFile(path.join(f, 'labels.json'), '[]'), 'invalid-config', /labels.json/],
  ['no upscaler', (f) => rm(path.join(f, 'upscaler'), { recursive: true }), 'missing-file', /upscaler/],
]

describe('a folder with', () => {
  it.each(damages)('%s', async (_name, damage, code, message) => {
    const folder = await copyModel()
    await damage(folder)
    const loading = loadPipeline(folder)
    await expect(loading).rejects.toMatchObject({ name: 'EngineError', code })
    await expect(loading).rejects.toThrow(message)
    await rm(folder, { recursive: true, force: true })
  })

  it('links in place of files works', async () => {
    const folder = path.join(root, 'linked')
    await symlink(emoji, folder)
    const linked = await loadPipeline(folder)
    expect((await linked.generate(small)).images[0]?.data).toEqual(before)
    expect(linked.info.modelHash).toBe(pipe.info.modelHash)
    linked.dispose()
  })
})

describe('loadPipeline', () => {
  it.each<[unknown, object, string, RegExp]>([
    ['emojis', {}, 'missing-file', /did you mean emoji\?/],
    ['/nowhere/at/all', {}, 'missing-file', /nowhere/],
    ['', {}, 'invalid-argument', /name or a folder/],
    [7, {}, 'invalid-argument', /got 7/],
    ['emoji', { dtype: 'f8' }, 'invalid-option', /one of f32, bf16, f16, got "f8/],
    ['emoji', { device: 'cuda' }, 'invalid-option', /cpu, reference/],
    ['emoji', { threads: 0 }, 'invalid-option', /threads: expected a whole number/],
    ['emoji', { threads: Number.NaN }, 'invalid-option', /NaN/],
    ['emoji', { instructions: 'sse' }, 'invalid-option', /instructions/],
    ['emoji', { device: 'reference', threads: 2 }, 'invalid-option', /threads/],
    ['emoji', { thread: 2 }, 'unknown-option', /did you mean threads\?/],
    ['emoji', { signal: 'now' }, 'invalid-option', /AbortSignal/],
    ['emoji', { onProgress: true }, 'invalid-option', /onProgress/],
    ['emoji', [], 'invalid-option', /a list/],
  ])('refuses %o with %o', async (model, options, code, message) => {
    const loading = loadPipeline(model as string, options as LoadPipelineOptions)
    await expect(loading).rejects.toMatchObject({ name: 'EngineError', code })
    await expect(loading).rejects.toThrow(message)
  })
})

describe('generate', () => {
  it.each<[string, object, string]>([
    ['an empty prompt', { prompt: '' }, 'invalid-option'],
    ['a prompt beyond the bound', { prompt: 'a'.repeat(20_001) }, 'invalid-option'],
    ['steps NaN', { steps: Number.NaN }, 'invalid-option'],
    ['guidance NaN', { guidance: Number.NaN }, 'invalid-option'],
    ['a size that does not divide', { size: 100 }, 'invalid-option'],
    ['an unknown sampler', { sampler: 'magic' }, 'unknown-sampler'],
    ['a schedule the model cannot have', { schedule: 'leading' }, 'invalid-option'],
    ['an unknown option', { step: 4 }, 'unknown-option'],
  ])('refuses %s', async (_name, options, code) => {
    const work = pipe.generate({ ...small, ...options })
    await expect(work).rejects.toMatchObject({ name: 'EngineError', code })
  })

  it('refuses everything after dispose', async () => {
    const other = await loadPipeline('emoji')
    other.dispose()
    await expect(other.generate(small)).rejects.toMatchObject({ code: 'disposed' })
    await expect(other.stream(small).next()).rejects.toMatchObject({ code: 'disposed' })
    expect(() => other.memory()).toThrow(expect.objectContaining({ code: 'disposed' }))
  })

  it('ends with an error when disposed in the middle', async () => {
    const other = await loadPipeline('emoji')
    const work = other.generate({ ...small, steps: 1000 })
    setTimeout(() => other.dispose(), 50)
    await expect(work).rejects.toMatchObject({ code: 'disposed' })
  })
})
