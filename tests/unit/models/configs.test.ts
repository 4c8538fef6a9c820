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
    ['SRVGGNetCompact', { num_in_ch: 4 }, 'num_out_ch'],
    [
      'UNet2DConditionModel',
      { down_block_types: ['DownBlock2D', 'AttnDownBlock2D', 'DownBlock2D', 'DownBlock2D'] },
      'down_block_types',
    ],
    ['UNet2DConditionModel', { down_block_types: ['DownBlock2D'] }, 'down_block_types'],
    ['UNet2DConditionModel', { up_block_types: 'UpBlock2D' }, 'up_block_types'],
    ['UNet2DConditionModel', { mid_block_type: null }, 'mid_block_type'],
    ['UNet2DConditionModel', { attention_head_dim: 7 }, 'attention_head_dim'],
    ['UNet2DConditionModel', { attention_head_dim: [8, 8] }, 'attention_head_dim'],
    ['UNet2DConditionModel', { num_attention_heads: 8 }, 'num_attention_heads'],
    ['UNet2DConditionModel', { cross_attention_dim: [768, 768, 768, 768] }, 'cross_attention_dim'],
    ['UNet2DConditionModel', { only_cross_attention: [true, false, false, false] }, 'only_cross_attention'],
    ['UNet2DConditionModel', { dual_cross_attention: true }, 'dual_cross_attention'],
    ['UNet2DConditionModel', { norm_num_groups: 7 }, 'norm_num_groups'],
    ['UNet2DConditionModel', { norm_num_groups: null }, 'norm_num_groups'],
    ['UNet2DConditionModel', { act_fn: 'mish' }, 'act_fn'],
    ['UNet2DConditionModel', { downsample_padding: 0 }, 'downsample_padding'],
    ['UNet2DConditionModel', { transformer_layers_per_block: [1, 2] }, 'transformer_layers_per_block'],
    ['UNet2DConditionModel', { transformer_layers_per_block: [1, 2, 0, 1] }, 'transformer_layers_per_block'],
    [
      'UNet2DConditionModel',
      { transformer_layers_per_block: [[1, 1], 1, 1, 1] },
      'reverse_transformer_layers_per_block',
    ],
    ['UNet2DConditionModel', { resnet_time_scale_shift: 'scale_shift' }, 'resnet_time_scale_shift'],
    ['UNet2DConditionModel', { class_embed_type: 'projection' }, 'class_embed_type'],
    ['UNet2DConditionModel', { num_class_embeds: 10 }, 'num_class_embeds'],
    ['UNet2DConditionModel', { class_embeddings_concat: true }, 'class_embeddings_concat'],
    ['UNet2DConditionModel', { encoder_hid_dim_type: 'text_proj' }, 'encoder_hid_dim_type'],
    ['UNet2DConditionModel', { addition_embed_type: 'image' }, 'addition_embed_type'],
    ['UNet2DConditionModel', { addition_embed_type: 'text_time' }, 'addition_time_embed_dim'],
    ['UNet2DConditionModel', { addition_time_embed_dim: 256 }, 'addition_time_embed_dim'],
    [
      'UNet2DConditionModel',
      {
        addition_embed_type: 'text_time',
        addition_time_embed_dim: 256,
        projection_class_embeddings_input_dim: 1536,
      },
      'projection_class_embeddings_input_dim',
    ],
    ['UNet2DConditionModel', { time_embedding_type: 'fourier' }, 'time_embedding_type'],
    ['UNet2DConditionModel', { time_cond_proj_dim: 0 }, 'time_cond_proj_dim'],
    ['UNet2DConditionModel', { conv_in_kernel: 5 }, 'conv_in_kernel'],
    ['UNet2DConditionModel', { attention_type: 'gated' }, 'attention_type'],
    ['UNet2DConditionModel', { center_input_sample: true }, 'center_input_sample'],
    ['UNet2DConditionModel', { conditioning_channels: 3 }, 'conditioning_channels'],
    ['ControlNetModel', { controlnet_conditioning_channel_order: 'bgr' }, 'controlnet_conditioning_channel_order'],
    ['ControlNetModel', { global_pool_conditions: true }, 'global_pool_conditions'],
    ['ControlNetModel', { num_attention_heads: 7 }, 'num_attention_heads'],
    ['ControlNetModel', { conditioning_embedding_out_channels: [] }, 'conditioning_embedding_out_channels'],
    ['ControlNetModel', { up_block_types: [] }, 'up_block_types'],
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

  it.each([
    [{ down_block_types: ['DownEncoderBlock2D', 'DownEncoderBlock2D'] }, 'down_block_types'],
    [{ up_block_types: ['AttnUpDecoderBlock2D'] }, 'up_block_types'],
    [{ act_fn: 'relu' }, 'act_fn'],
    [{ norm_num_groups: 48 }, 'norm_num_groups'],
    [{ use_quant_conv: 1 }, 'use_quant_conv'],
    [{ mid_block_attention: true }, 'mid_block_attention'],
  ])('AutoencoderKL %j', (config, field) => {
    expect(code(() => build('AutoencoderKL', config, 'decoder'))).toMatchObject({
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

/** Parameters of a network: elements of every tensor it reads. */
const parameters = (className: string, config: Record<string, unknown>, part?: 'encoder' | 'decoder'): number =>
  neededTensors(build(className, config, part).graph).reduce(
    (sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1),
    0,
  )

const XL = {
  block_out_channels: [320, 640, 1280],
  down_block_types: ['DownBlock2D', 'CrossAttnDownBlock2D', 'CrossAttnDownBlock2D'],
  attention_head_dim: [5, 10, 20],
  transformer_layers_per_block: [1, 2, 10],
  cross_attention_dim: 2048,
  use_linear_projection: true,
  addition_embed_type: 'text_time',
  addition_time_embed_dim: 256,
  projection_class_embeddings_input_dim: 2816,
}
const XL_UP = { up_block_types: ['CrossAttnUpBlock2D', 'CrossAttnUpBlock2D', 'UpBlock2D'] }
const SD2 = { cross_attention_dim: 1024, attention_head_dim: [5, 10, 20, 20], use_linear_projection: true }
const VAE = {
  block_out_channels: [128, 256, 512, 512],
  down_block_types: Array(4).fill('DownEncoderBlock2D'),
  up_block_types: Array(4).fill('UpDecoderBlock2D'),
  layers_per_block: 2,
}

describe('published sizes have their published numbers of parameters', () => {
  it.each([
    ['SD1.5', 'UNet2DConditionModel', { cross_attention_dim: 768 }, undefined, 859_520_964],
    ['SD2.1', 'UNet2DConditionModel', SD2, undefined, 865_910_724],
    ['SDXL', 'UNet2DConditionModel', { ...XL, ...XL_UP }, undefined, 2_567_463_684],
    ['ControlNet of SD1.5', 'ControlNetModel', { cross_attention_dim: 768 }, undefined, 361_279_120],
    ['ControlNet of SDXL', 'ControlNetModel', XL, undefined, 1_251_014_000],
    ['VAE encoder', 'AutoencoderKL', VAE, 'encoder', 34_163_664],
    ['VAE decoder', 'AutoencoderKL', VAE, 'decoder', 49_490_199],
  ] as const)('%s', (_name, className, config, part, count) => {
    expect(parameters(className, config, part) / count).toBeCloseTo(1, 5)
  })

  it("reads five numbers beside the text in XL's refiner", () => {
    const config = { ...XL, ...XL_UP, cross_attention_dim: 1280, addition_time_embed_dim: 256 }
    const { inputs } = build('UNet2DConditionModel', { ...config, projection_class_embeddings_input_dim: 2560 })
    expect(inputs.find(({ name }) => name.endsWith('time_ids'))?.axes).toEqual([5])
    expect(inputs.find(({ name }) => name.endsWith('text_embeds'))?.axes).toEqual([1280])
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

describe('input sets of Stable Diffusion', () => {
  const tiny = { ...XL, ...XL_UP, block_out_channels: [32, 64, 64], attention_head_dim: 2, cross_attention_dim: 16 }
  const { up_block_types: _, ...encoder } = tiny
  const sets = (className: string, config: Record<string, unknown>, path: RegExp) =>
    new Set(
      build(className, config)
        .graph.values.filter((value) => path.test(value.at) && value.origin.kind === 'op')
        .map((value) => value.set),
    )

  it('keeps text keys, sizes and time out of the latent’s work', () => {
    expect(sets('UNet2DConditionModel', tiny, /attn2\.to_[kv]$/)).toEqual(new Set(['prompt']))
    expect(sets('UNet2DConditionModel', tiny, /^add_embedding/)).toEqual(new Set(['prompt']))
    expect(sets('UNet2DConditionModel', tiny, /time_emb_proj$/)).toEqual(new Set(['prompt+step']))
    const plain = { ...tiny, addition_embed_type: null, addition_time_embed_dim: null }
    const sd = { ...plain, projection_class_embeddings_input_dim: null }
    expect(sets('UNet2DConditionModel', sd, /time_emb_proj$/)).toEqual(new Set(['step']))
  })

  it('embeds the hint of a ControlNet once per picture', () => {
    expect(sets('ControlNetModel', encoder, /^controlnet_cond_embedding/)).toEqual(new Set(['image']))
  })

  it('adds residuals in the controlled form only, to the same tensors', () => {
    const definition = modelDefinition('UNet2DConditionModel')
    const { smallest } = definition.ports(tiny, at)
    const [plain, controlled] = (['plain', 'controlled'] as const).map(
      (form) => definition.build(tiny, at, smallest, undefined, form).graph,
    )
    const inputsOf = (g: typeof plain) =>
      g?.values.filter(({ origin }) => origin.kind === 'input').map((v) => v.at) ?? []
    const residuals = inputsOf(controlled).filter((name) => name.includes('residual'))
    expect(inputsOf(plain).filter((name) => name.includes('residual'))).toEqual([])
    expect(residuals).toHaveLength(1 + 3 * 2 + 2 + 1)
    expect(controlled && neededTensors(controlled).length).toEqual(plain && neededTensors(plain).length)
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
