/** Of a repository's files those are chosen that a model is loaded from, whatever form the repository has. */

import { describe, expect, it } from 'vitest'
import type { HubFile } from '../../../src/hub/hubListing'
import { neededFiles, type WantedFiles } from '../../../src/hub/neededFiles'

const file = (path: string): HubFile => ({ path, sizeBytes: 1, hash: { kind: 'git-sha1', hex: '0'.repeat(40) } })
const choose = (paths: readonly string[], index?: Readonly<Record<string, unknown>>, wanted: WantedFiles = {}) =>
  neededFiles('owner/name', paths.map(file), index, wanted)
    .map((chosen) => chosen.path)
    .sort()

const unet = { unet: ['diffusers', 'UNet2DConditionModel'] }

describe('neededFiles', () => {
  it.each<[string, readonly string[], Readonly<Record<string, unknown>> | undefined, WantedFiles, readonly string[]]>([
    [
      'plain weights before variants, safetensors before pickles',
      [
        'unet/config.json',
        'unet/diffusion_pytorch_model.bin',
        'unet/diffusion_pytorch_model.safetensors',
        'unet/diffusion_pytorch_model.fp16.safetensors',
        'unet/diffusion_pytorch_model.non_ema.safetensors',
      ],
      unet,
      {},
      ['unet/config.json', 'unet/diffusion_pytorch_model.safetensors'],
    ],
    ['the only variant', ['unet/model.fp16.safetensors'], unet, {}, ['unet/model.fp16.safetensors']],
    [
      'shards and their index',
      [
        'unet/model-00001-of-00002.safetensors',
        'unet/model-00002-of-00002.safetensors',
        'unet/model.safetensors.index.json',
        'unet/model.fp16-00001-of-00001.safetensors',
        'unet/model.fp16.safetensors.index.json',
      ],
      unet,
      {},
      [
        'unet/model-00001-of-00002.safetensors',
        'unet/model-00002-of-00002.safetensors',
        'unet/model.safetensors.index.json',
      ],
    ],
    [
      'shards of a variant, in both namings',
      [
        'unet/model-00001-of-00001.safetensors',
        'unet/model.safetensors.index.json',
        'unet/model.fp16-00001-of-00001.safetensors',
        'unet/model.safetensors.index.fp16.json',
      ],
      unet,
      { variant: 'fp16' },
      ['unet/model.fp16-00001-of-00001.safetensors', 'unet/model.safetensors.index.fp16.json'],
    ],
    [
      'a variant where there is one, plain weights elsewhere',
      ['unet/model.safetensors', 'unet/model.fp16.safetensors', 'vae/model.safetensors'],
      { ...unet, vae: ['diffusers', 'AutoencoderKL'] },
      { variant: 'fp16' },
      ['unet/model.fp16.safetensors', 'vae/model.safetensors'],
    ],
    [
      'no component that the index does not name, none that is null',
      [
        'model_index.json',
        'unet/config.json',
        'vae_1_0/config.json',
        'image_encoder/config.json',
        'whole.safetensors',
        'README.md',
        'requirements.txt',
      ],
      { ...unet, image_encoder: [null, null] },
      {},
      ['model_index.json', 'unet/config.json'],
    ],
    [
      'one network',
      ['config.json', 'diffusion_pytorch_model.safetensors', 'diffusion_pytorch_model.bin', 'README.md'],
      undefined,
      {},
      ['config.json', 'diffusion_pytorch_model.safetensors'],
    ],
    [
      'one file',
      ['README.md', 'pytorch_lora_weights.safetensors'],
      undefined,
      {},
      ['pytorch_lora_weights.safetensors'],
    ],
    [
      'files asked for',
      ['a.safetensors', 'b.safetensors', 'c/a.safetensors'],
      undefined,
      { include: ['a*', 'c/*'] },
      ['a.safetensors', 'c/a.safetensors'],
    ],
    [
      'patterns are no regular expressions',
      ['a+b.json', 'aab.json'],
      undefined,
      { include: ['a+b.json'] },
      ['a+b.json'],
    ],
    ['nothing', ['README.md'], undefined, {}, []],
  ])('%s', (_, paths, index, wanted, want) => expect(choose(paths, index, wanted)).toEqual(want))

  it.each<[string, readonly string[], string, RegExp]>([
    [
      'several variants and no plain weights',
      ['unet/model.a.safetensors', 'unet/model.b.safetensors'],
      'missing-file',
      /unet: expected plain weights, got the variants a, b/,
    ],
    [
      'pickles alone',
      ['unet/diffusion_pytorch_model.bin'],
      'unsupported-format',
      /owner\/name\/unet: expected safetensors, got diffusion_pytorch_model\.bin/,
    ],
  ])('refuses %s', (_, paths, code, message) => {
    expect(() => choose(paths, unet)).toThrow(expect.objectContaining({ code }))
    expect(() => choose(paths, unet)).toThrow(message)
  })

  it('refuses several single files', () => {
    expect(() => choose(['a.safetensors', 'b.safetensors'])).toThrow(/expected one safetensors file, got 2.*--include/)
  })
})
