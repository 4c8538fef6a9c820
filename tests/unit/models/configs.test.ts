/** Configs: what is understood, and that everything else is a precise error. */

import { describe, expect, it } from 'vitest'
import { MODELS, modelDefinition, neededTensors, recogniseModel } from '../../../src/models'

const at = { component: 'net', configFile: 'net/config.json' }
const build = (className: string, config: Record<string, unknown>, part?: 'encoder' | 'decoder') => {
  const definition = modelDefinition(className, config)
  const place = part ? { ...at, part } : at
  return definition.build(config, place, definition.ports(config, place).smallest)
}
const code = (work: () => unknown): unknown => {
  try {
    work()
  } catch (error) {
    return error
  }
  throw new Error('expected a failure')
}

describe('unsupported configs', () => {
  it.each([
    ['DiTTransformer2DModel', { norm_type: 'ada_norm' }, 'norm_type'],
    ['DiTTransformer2DModel', { num_embeds_ada_norm: null }, 'num_embeds_ada_norm'],
    ['DiTTransformer2DModel', { activation_fn: 'geglu' }, 'activation_fn'],
    ['DiTTransformer2DModel', { cross_attention_dim: 768 }, 'cross_attention_dim'],
    ['DiTTransformer2DModel', { num_layers: 0 }, 'num_layers'],
    ['DiTTransformer2DModel', { attention_head_dim: 5, num_attention_heads: 1 }, 'attention_head_dim'],
    ['DiTTransformer2DModel', { sample_size: 1 }, 'sample_size'],
    ['DiTTransformer2DModel', { qk_norm: 'rms' }, 'qk_norm'],
    ['PixArtTransformer2DModel', { attention_type: 'gated' }, 'attention_type'],
    ['PixArtTransformer2DModel', { caption_channels: 4096, cross_attention_dim: 4096 }, 'cross_attention_dim'],
    ['PixArtTransformer2DModel', { use_additional_conditions: 'yes' }, 'use_additional_conditions'],
    [
      'PixArtTransformer2DModel',
      { attention_head_dim: 8, num_attention_heads: 1, cross_attention_dim: 8 },
      'use_additional_conditions',
    ],
    ['PixArtTransformer2DModel', { interpolation_scale: 0 }, 'interpolation_scale'],
    ['CLIPTextModel', { hidden_act: 'swish' }, 'hidden_act'],
    ['CLIPTextModel', { num_attention_heads: 7 }, 'num_attention_heads'],
    ['CLIPTextModel', { eos_token_id: [1, 2] }, 'eos_token_id'],
    ['CLIPTextModel', { rope_theta: 10000 }, 'rope_theta'],
    ['CLIPTextModel', { text_config: {} }, 'text_config'],
    ['CLIPTextModelWithProjection', { projection_dim: null }, 'projection_dim'],
    ['SRVGGNetCompact', { act_type: 'gelu' }, 'act_type'],
    ['SRVGGNetCompact', { num_in_ch: 1 }, 'num_out_ch'],
  ])('%s %j', (className, config, field) => {
    const error = code(() => build(className, config))
    expect(error).toMatchObject({ code: 'invalid-config', context: { file: 'net/config.json', field } })
    expect(String(error)).toMatch(/net\/config\.json: .*expected .*, got /)
  })

  it.each([
    [{ act_fn: 'mish' }, 'act_fn'],
    [{ upsample_fn: 'bilinear' }, 'upsample_fn'],
    [{ num_encoder_blocks: [1, 3] }, 'num_encoder_blocks'],
    [{ decoder_block_out_channels: [64, 64, 32, 32] }, 'decoder_block_out_channels'],
    [{ latent_channels: '16' }, 'latent_channels'],
  ])('AutoencoderTiny %j', (config, field) => {
    expect(code(() => build('AutoencoderTiny', config, 'decoder'))).toMatchObject({
      code: 'invalid-config',
      context: { field },
    })
  })

  it.each(MODELS.map((model) => model.className))('%s refuses what is no object', (className) => {
    for (const config of [null, [], 'x', 3]) {
      expect(code(() => modelDefinition(className).ports(config, { ...at, part: 'encoder' }))).toMatchObject({
        code: 'invalid-config',
      })
    }
  })

  it('names the classes it knows', () => {
    expect(code(() => modelDefinition('UNet3DConditionModel'))).toMatchObject({ code: 'unsupported-model' })
  })

  it('asks for a half of an autoencoder', () => {
    expect(code(() => build('AutoencoderTiny', {}))).toMatchObject({
      code: 'unknown-component',
      context: { known: ['net.encoder', 'net.decoder'] },
    })
  })
})

describe('published configs', () => {
  it('DiT-XL/2 as the hub has it: the legacy class', () => {
    const config = {
      _class_name: 'Transformer2DModel',
      _diffusers_version: '0.12.0.dev0',
      activation_fn: 'gelu-approximate',
      attention_bias: true,
      attention_head_dim: 72,
      cross_attention_dim: null,
      dropout: 0,
      in_channels: 4,
      norm_elementwise_affine: false,
      norm_num_groups: 32,
      norm_type: 'ada_norm_zero',
      num_attention_heads: 16,
      num_embeds_ada_norm: 1000,
      num_layers: 28,
      num_vector_embeds: null,
      only_cross_attention: false,
      out_channels: 8,
      patch_size: 2,
      sample_size: 32,
      upcast_attention: false,
      use_linear_projection: false,
    }
    const model = build('Transformer2DModel', config)
    expect(model.inputs.map((port) => port.name)).toEqual(['hidden_states', 'timestep', 'class_labels'])
    // 28 blocks of 19 tensors each, with their own embedders; patch projection and two output projections.
    expect(neededTensors(model.graph)).toHaveLength(28 * 19 + 6)
  })

  it('PixArt-alpha 1024 as the hub has it: micro-conditions because of sample_size', () => {
    const config = {
      _class_name: 'Transformer2DModel',
      activation_fn: 'gelu-approximate',
      attention_bias: true,
      attention_head_dim: 72,
      attention_type: 'default',
      caption_channels: 4096,
      cross_attention_dim: 1152,
      double_self_attention: false,
      dropout: 0.0,
      in_channels: 4,
      norm_elementwise_affine: false,
      norm_eps: 1e-6,
      norm_num_groups: 32,
      norm_type: 'ada_norm_single',
      num_attention_heads: 16,
      num_embeds_ada_norm: 1000,
      num_layers: 2,
      num_vector_embeds: null,
      only_cross_attention: false,
      out_channels: 8,
      patch_size: 2,
      sample_size: 128,
      upcast_attention: false,
      use_linear_projection: false,
    }
    expect(build('Transformer2DModel', config).inputs.map((port) => port.name)).toContain(
      'added_cond_kwargs.resolution',
    )
  })

  it('CLIP-L as the hub has it', () => {
    const config = {
      _name_or_path: 'openai/clip-vit-large-patch14',
      architectures: ['CLIPTextModel'],
      attention_dropout: 0.0,
      bos_token_id: 0,
      dropout: 0.0,
      eos_token_id: 2,
      hidden_act: 'quick_gelu',
      hidden_size: 768,
      initializer_factor: 1.0,
      initializer_range: 0.02,
      intermediate_size: 3072,
      layer_norm_eps: 1e-5,
      max_position_embeddings: 77,
      model_type: 'clip_text_model',
      num_attention_heads: 12,
      num_hidden_layers: 12,
      pad_token_id: 1,
      projection_dim: 768,
      torch_dtype: 'float32',
      transformers_version: '4.22.0.dev0',
      vocab_size: 49408,
    }
    const { outputs, graph } = build('CLIPTextModel', config)
    expect(outputs.map((port) => port.name)).toEqual(['last_hidden_state', 'pooler_output', 'hidden_states.-2'])
    expect(neededTensors(graph)).toHaveLength(12 * 16 + 4)
  })
})

describe('input sets', () => {
  const setsOf = (className: string, config: Record<string, unknown>, path: RegExp): Set<string> =>
    new Set(
      build(className, config)
        .graph.values.filter((value) => path.test(value.at) && value.origin.kind === 'op')
        .map((value) => value.set),
    )
  const small = { num_attention_heads: 1, attention_head_dim: 12, num_layers: 2, cross_attention_dim: 12 }

  it("keeps PixArt's text keys and values, and its modulations, out of the latent's work", () => {
    const config = { ...small, sample_size: 8, caption_channels: 4 }
    expect(setsOf('PixArtTransformer2DModel', config, /attn2\.to_[kv]$/)).toEqual(new Set(['prompt']))
    expect(setsOf('PixArtTransformer2DModel', config, /^adaln_single/)).toEqual(new Set(['step']))
    expect(
      setsOf('PixArtTransformer2DModel', { ...config, use_additional_conditions: true }, /^adaln_single\.linear$/),
    ).toEqual(new Set(['prompt+step']))
  })

  it("keeps DiT's modulations out of the latent's work", () => {
    const { cross_attention_dim: _, ...config } = small
    expect(setsOf('DiTTransformer2DModel', config, /norm1\.linear$/)).toEqual(new Set(['prompt+step']))
    expect(setsOf('DiTTransformer2DModel', config, /timestep_embedder/)).toEqual(new Set(['step']))
  })
})

describe('sizes', () => {
  const dit = modelDefinition('DiTTransformer2DModel')
  it.each([
    [{ height: 7, width: 8 }, 'shape-mismatch'],
    [{ height: 8 }, 'invalid-argument'],
    [{ height: 0, width: 8 }, 'invalid-argument'],
    [{ height: 8.5, width: 8 }, 'invalid-argument'],
  ])('refuses %j', (sizes, expected) => {
    expect(code(() => dit.build({ num_layers: 1 }, at, sizes))).toMatchObject({ code: expected })
  })

  it('refuses more tokens than there are positions, and outputs there are not', () => {
    const clip = modelDefinition('CLIPTextModel')
    const config = { num_hidden_layers: 1, max_position_embeddings: 7 }
    expect(code(() => clip.build(config, at, { textLength: 8 }))).toMatchObject({ code: 'shape-mismatch' })
    expect(code(() => clip.build(config, at, { textLength: 7 }, ['hidden_states.2']))).toMatchObject({
      code: 'invalid-argument',
    })
    expect(clip.build(config, at, { textLength: 7 }, ['hidden_states.1']).outputs).toHaveLength(1)
  })

  it('puts a scope before tensor names', () => {
    const { graph } = dit.build({ num_layers: 1 }, { ...at, scope: 'transformer' }, { height: 2, width: 2 })
    expect(neededTensors(graph).every((tensor) => tensor.name.startsWith('transformer/'))).toBe(true)
  })
})

describe('recogniseModel', () => {
  const conv = (out: number, into: number) => [out, into, 3, 3]
  it('knows the halves of TAESD by their names', () => {
    const half = (entries: [string, number[]][]) => recogniseModel(new Map(entries))
    expect(
      half([
        ['0.weight', conv(64, 3)],
        ['1.conv.0.weight', conv(64, 64)],
        ['14.weight', conv(16, 64)],
      ]),
    ).toMatchObject({
      parts: ['encoder'],
      config: { latent_channels: 16, in_channels: 3 },
    })
    expect(
      half([
        ['1.weight', conv(64, 4)],
        ['3.conv.0.weight', conv(64, 64)],
        ['19.weight', conv(3, 64)],
      ]),
    ).toMatchObject({
      parts: ['decoder'],
      config: { latent_channels: 4, out_channels: 3 },
    })
    // Blocks with pooling are another network.
    expect(
      half([
        ['0.weight', conv(64, 3)],
        ['11.pool.0.weight', [256, 64, 1, 1]],
        ['14.weight', conv(32, 64)],
      ]),
    ).toBe(undefined)
  })

  it('knows the upscaler', () => {
    const shapes = new Map([
      ['body.0.weight', conv(64, 3)],
      ['body.1.weight', [64]],
      ['body.2.weight', conv(64, 64)],
      ['body.3.weight', [64]],
      ['body.4.weight', conv(48, 64)],
    ])
    expect(recogniseModel(shapes)).toMatchObject({
      config: { num_conv: 1, upscale: 4, num_feat: 64, act_type: 'prelu' },
    })
  })

  it('knows nothing else', () => {
    expect(recogniseModel(new Map([['model.diffusion_model.x', [1]]]))).toBe(undefined)
    expect(recogniseModel(new Map())).toBe(undefined)
  })
})
