import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { findComponent, findWeightFiles, openModelFolder } from '../../../src/weights'
import { failure, scratch } from './scratch'

const disk = scratch()
const at = (name: string): string => path.join(disk.folder, name)
const json = (name: string, value: unknown): string => disk.write(name, JSON.stringify(value))

describe('openModelFolder', () => {
  it('reads a pipeline: components, absent ones, settings', async () => {
    json('pipe/model_index.json', {
      _class_name: 'PixArtSigmaPipeline',
      _diffusers_version: '0.30.0',
      transformer: ['diffusers', 'PixArtTransformer2DModel'],
      safety_checker: [null, null],
      requires_safety_checker: false,
    })
    const model = await openModelFolder(at('pipe'))
    expect(model).toMatchObject({
      kind: 'pipeline',
      className: 'PixArtSigmaPipeline',
      settings: { requires_safety_checker: false },
    })
    expect([...model.components.values()]).toEqual([
      {
        name: 'transformer',
        folder: at('pipe/transformer'),
        library: 'diffusers',
        className: 'PixArtTransformer2DModel',
      },
    ])
  })

  it('lists sub-folders where there is no index, and takes a bare component and a file', async () => {
    json('bare/config.json', { _class_name: 'AutoencoderTiny' })
    json('loose/vae/config.json', { _class_name: 'AutoencoderTiny' })
    disk.write('one.safetensors', '')
    expect(await openModelFolder(at('bare'))).toMatchObject({ kind: 'component' })
    expect([...(await openModelFolder(at('loose'))).components.keys()]).toEqual(['vae'])
    expect(await openModelFolder(at('one.safetensors'))).toMatchObject({ kind: 'file' })
  })

  it.each([
    ['nowhere', 'missing-file'],
    ['empty', 'missing-file'],
    ['model.ckpt', 'unsupported-format'],
    ['broken', 'invalid-config'],
    ['list', 'invalid-config'],
    ['escape', 'invalid-config'],
    ['numbers', 'invalid-config'],
  ])('refuses %s with %s', async (name, code) => {
    disk.write('empty/readme.txt', '')
    disk.write('model.ckpt', '')
    disk.write('broken/model_index.json', '{"a": ')
    json('list/model_index.json', [])
    json('escape/model_index.json', { '../unet': ['diffusers', 'X'] })
    json('numbers/model_index.json', { unet: [1, 2] })
    expect(await failure(() => openModelFolder(at(name)))).toMatchObject({ code })
  })
})

describe('findComponent', () => {
  it('takes the config, the class and the weights, also of components the index leaves out', async () => {
    json('m/model_index.json', { vae: ['diffusers', 'AutoencoderTiny'] })
    json('m/vae/config.json', { _class_name: 'AutoencoderTiny', latent_channels: 16 })
    disk.write('m/vae/diffusion_pytorch_model.safetensors', '')
    json('m/text_encoder/config.json', { architectures: ['CLIPTextModel'] })
    disk.write('m/text_encoder/model.safetensors', '')
    const model = await openModelFolder(at('m'))
    expect(await findComponent(model, 'vae.decoder')).toMatchObject({
      name: 'vae',
      part: 'decoder',
      className: 'AutoencoderTiny',
      config: { latent_channels: 16 },
      weights: { files: [at('m/vae/diffusion_pytorch_model.safetensors')] },
    })
    expect(await findComponent(model, 'text_encoder')).toMatchObject({ className: 'CLIPTextModel' })
  })

  it.each(['unet', '../vae', 'vae/..', '', 'vae.middle', 'vae.decoder.x', '.decoder'])('knows no %j', async (name) => {
    json('k/model_index.json', { vae: ['diffusers', 'AutoencoderTiny'] })
    expect(await failure(async () => findComponent(await openModelFolder(at('k')), name))).toMatchObject({
      code: 'unknown-component',
    })
  })

  it('refuses a class that contradicts the index, and a config without one', async () => {
    json('c/model_index.json', { vae: ['diffusers', 'AutoencoderKL'], text: ['transformers', 'CLIPTextModel'] })
    json('c/vae/config.json', { _class_name: 'AutoencoderTiny' })
    json('c/text/config.json', { hidden_size: 3 })
    const model = await openModelFolder(at('c'))
    expect(await failure(() => findComponent(model, 'vae'))).toMatchObject({
      code: 'invalid-config',
      context: { field: '_class_name' },
    })
    expect(await failure(() => findComponent(model, 'text'))).toMatchObject({
      code: 'invalid-config',
      context: { field: '_class_name' },
    })
  })
})

describe('findWeightFiles', () => {
  const folder = (name: string, ...files: string[]): string => {
    for (const file of files) disk.write(path.join(name, file), '')
    return at(name)
  }

  it('takes the plain file before variants, a variant when asked or when it is the only one', async () => {
    const both = folder('w1', 'model.safetensors', 'model.fp16.safetensors')
    expect(await findWeightFiles(both)).toEqual({ files: [path.join(both, 'model.safetensors')] })
    expect(await findWeightFiles(both, 'fp16')).toEqual({
      files: [path.join(both, 'model.fp16.safetensors')],
      variant: 'fp16',
    })
    const only = folder('w2', 'diffusion_pytorch_model.bf16.safetensors')
    expect(await findWeightFiles(only)).toMatchObject({ variant: 'bf16' })
  })

  it.each(['diffusion_pytorch_model.safetensors.index.json', 'model.safetensors.index.json'])(
    'follows %s',
    async (name) => {
      json(`s-${name}/${name}`, {
        metadata: {},
        weight_map: {
          a: 'x-00001-of-00002.safetensors',
          b: 'x-00002-of-00002.safetensors',
          c: 'x-00001-of-00002.safetensors',
        },
      })
      const found = await findWeightFiles(at(`s-${name}`))
      expect(found.files.map((file) => path.basename(file))).toEqual([
        'x-00001-of-00002.safetensors',
        'x-00002-of-00002.safetensors',
      ])
      expect(found.weightMap?.get('c')).toBe(found.files[0])
    },
  )

  it.each(['model.fp16.safetensors.index.json', 'model.safetensors.index.fp16.json'])(
    'finds the variant of %s',
    async (name) => {
      json(`v-${name}/${name}`, { weight_map: { a: 'a.safetensors' } })
      expect(await findWeightFiles(at(`v-${name}`))).toMatchObject({ variant: 'fp16' })
    },
  )

  it.each(['../a.safetensors', '/etc/a.safetensors', 'sub/a.safetensors', '..\\a.safetensors', 'a.bin', 7, null])(
    'refuses the shard %j',
    async (shard) => {
      json('bad/model.safetensors.index.json', { weight_map: { 'x.weight': shard } })
      expect(await failure(() => findWeightFiles(at('bad')))).toMatchObject({
        code: 'invalid-config',
        context: { field: 'weight_map.x.weight' },
      })
    },
  )

  it('refuses other formats, absent variants, a choice it cannot make', async () => {
    expect(await failure(() => findWeightFiles(folder('f1', 'pytorch_model.bin')))).toMatchObject({
      code: 'unsupported-format',
    })
    expect(await failure(() => findWeightFiles(folder('f2', 'model.safetensors'), 'fp16'))).toMatchObject({
      code: 'missing-file',
    })
    expect(
      await failure(() => findWeightFiles(folder('f3', 'model.fp16.safetensors', 'model.bf16.safetensors'))),
    ).toMatchObject({
      code: 'missing-file',
      context: { variants: ['bf16', 'fp16'] },
    })
    expect(await failure(() => findWeightFiles(at('f4')))).toMatchObject({ code: 'missing-file' })
    json('f5/model.safetensors.index.json', { weight_map: {} })
    expect(await failure(() => findWeightFiles(at('f5')))).toMatchObject({ code: 'invalid-config' })
  })

  it('takes the one file of another name', async () => {
    const odd = folder('o', 'upscaler-x4.safetensors')
    expect(await findWeightFiles(odd)).toEqual({ files: [path.join(odd, 'upscaler-x4.safetensors')] })
  })
})
