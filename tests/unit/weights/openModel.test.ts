import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { encodeSafetensors, openModel, openModelComponent, readTensors } from '../../../src/weights'
import { readHeader } from '../../golden/cases'
import { failure, scratch } from './scratch'

const disk = scratch()
const readIndex = readHeader
const options = { readIndex }

/** Zeros of a shape, in f32. */
const zeros = (...shape: number[]) => ({
  dtype: 'f32' as const,
  shape,
  data: new Float32Array(shape.reduce((product, size) => product * size, 1)),
})

/** The least of an original UNet: one level of one layer, no attention but in the middle. */
function unet(inChannels: number, linear: boolean): Record<string, ReturnType<typeof zeros>> {
  const resnet = { 'in_layers.2.weight': zeros(8, 8, 3, 3) }
  const tensors = {
    'time_embed.0.weight': zeros(8, 8),
    'input_blocks.0.0.weight': zeros(8, inChannels, 3, 3),
    ...named('input_blocks.1.0', resnet),
    ...named('middle_block.0', resnet),
    'middle_block.1.norm.weight': zeros(8),
    'middle_block.1.proj_in.weight': linear ? zeros(8, 8) : zeros(8, 8, 1, 1),
    'middle_block.1.transformer_blocks.0.norm1.weight': zeros(8),
    'middle_block.1.transformer_blocks.0.attn2.to_k.weight': zeros(8, linear ? 1024 : 768),
    ...named('middle_block.2', resnet),
    ...named('output_blocks.0.0', resnet),
    ...named('output_blocks.1.0', resnet),
    'out.2.weight': zeros(4, 8, 3, 3),
  }
  return named('model.diffusion_model', tensors)
}

function named<T>(prefix: string, tensors: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [`${prefix}.${name}`, tensor]))
}

function file(name: string, tensors: Parameters<typeof encodeSafetensors>[0]): string {
  return disk.write(name, encodeSafetensors(tensors))
}

const CLIP = named('cond_stage_model.transformer.text_model', {
  'embeddings.token_embedding.weight': zeros(10, 8),
  'embeddings.position_ids': zeros(1, 4),
  'encoder.layers.0.layer_norm1.weight': zeros(8),
})

describe('a single file', () => {
  it('says what a folder would, and which tensors nobody needs', async () => {
    const model = await openModel(file('v1.safetensors', { ...unet(4, false), ...CLIP, betas: zeros(3) }), options)
    expect(model).toMatchObject({
      kind: 'file',
      family: 'sd1',
      className: 'StableDiffusionPipeline',
      unused: ['betas', 'cond_stage_model.transformer.text_model.embeddings.position_ids'],
      scheduler: { kind: 'published', config: { _class_name: 'PNDMScheduler', prediction_type: 'epsilon' } },
    })
    expect([...model.components.keys()]).toEqual(['unet', 'text_encoder'])
    expect(model.tokenizers.get('tokenizer')).toEqual({ kind: 'clip', padToken: 49407 })
    const encoder = await openModelComponent(model, 'text_encoder', options)
    expect(encoder).toMatchObject({ className: 'CLIPTextModel', config: { num_hidden_layers: 1 } })
    const error = await failure(() => openModelComponent(model, 'vae.decoder', options))
    expect(error).toMatchObject({ code: 'unknown-component', context: { known: ['unet', 'text_encoder'] } })
    expect(await failure(() => openModelComponent(model, 'unet', { ...options, variant: 'fp16' }))).toMatchObject({
      code: 'invalid-option',
    })
  })

  it.each([
    [{}, 4, 'v_prediction', 96],
    [{ prediction: 'epsilon' }, 4, 'epsilon', 64],
    [{}, 9, 'epsilon', 64],
  ] as const)('of SD2 predicts what %o says with %i channels', async (asked, channels, prediction, cells) => {
    const path = file(`v2-${channels}-${prediction}.safetensors`, { ...unet(channels, true), ...CLIP })
    const model = await openModel(path, { ...options, ...asked })
    expect(model).toMatchObject({ family: 'sd2', scheduler: { config: { prediction_type: prediction } } })
    expect(await openModelComponent(model, 'unet', options)).toMatchObject({ config: { sample_size: cells } })
  })

  it('reads the mark of a v-prediction model trained down to pure noise', async () => {
    const sizes = { 'model.diffusion_model.label_emb.0.0.weight': zeros(8, 2816) }
    const marked = { ...unet(4, false), ...sizes, ...CLIP, v_pred: zeros(0), ztsnr: zeros(0) }
    const model = await openModel(file('marked.safetensors', marked), options)
    expect(model).toMatchObject({
      family: 'sdxl',
      scheduler: { config: { prediction_type: 'v_prediction', rescale_betas_zero_snr: true } },
    })
  })

  it('keeps the components of one file apart', async () => {
    const model = await openModel(file('apart.safetensors', { ...unet(4, false), ...CLIP }), options)
    const identities = await Promise.all(
      ['unet', 'text_encoder'].map(
        async (name) => (await openModelComponent(model, name, options)).checkpoint.identity,
      ),
    )
    expect(new Set(identities).size).toBe(2)
  })

  it('cuts what OpenCLIP joins, and turns its projection', async () => {
    const count = (from: number, ...shape: number[]) => {
      const tensor = zeros(...shape)
      tensor.data.forEach((_, i) => {
        tensor.data[i] = from + i
      })
      return tensor
    }
    const encoder = named('conditioner.embedders.1.model', {
      'token_embedding.weight': zeros(10, 2),
      text_projection: count(100, 2, 2),
      logit_scale: zeros(),
      'transformer.resblocks.0.ln_1.weight': zeros(2),
      'transformer.resblocks.0.attn.in_proj_weight': count(0, 6, 2),
      'transformer.resblocks.0.attn.in_proj_bias': count(50, 6),
    })
    const model = await openModel(file('bigG.safetensors', encoder), options)
    const { checkpoint, className } = await openModelComponent(model, 'text_encoder_2', options)
    expect(className).toBe('CLIPTextModelWithProjection')
    const tensors = await readTensors(checkpoint.tensors.values())
    const at = 'text_model.encoder.layers.0.self_attn'
    expect([...(tensors[`${at}.k_proj.weight`]?.data ?? [])]).toEqual([4, 5, 6, 7])
    expect([...(tensors[`${at}.v_proj.bias`]?.data ?? [])]).toEqual([54, 55])
    expect([...(tensors['text_projection.weight']?.data ?? [])]).toEqual([100, 102, 101, 103])
    expect(model.unused).toEqual(['conditioner.embedders.1.model.logit_scale'])
  })

  it('is left to its network where it is none of these', async () => {
    const model = await openModel(file('other.safetensors', { 'layers.0.weight': zeros(2) }), options)
    expect(model.components.size).toBe(0)
    const component = await openModelComponent(model, 'vae.decoder', options)
    expect(component).toMatchObject({ name: 'vae', part: 'decoder' })
    expect([component.className, [...component.checkpoint.tensors.keys()]]).toEqual([undefined, ['layers.0.weight']])
  })

  it('is refused when it is a LoRA, or needs statistics that only its makers have', async () => {
    const lora = file('style.safetensors', {
      'lora_unet_mid.lora_up.weight': zeros(2),
      'lora_unet_mid.lora_down.weight': zeros(2),
    })
    const error = await failure(() => openModel(lora, options))
    expect(error).toMatchObject({ code: 'unsupported-model' })
    expect(error.message).toMatch(/expected a model, got a LoRA \(2 of its 2 tensors\)/)
    const playground = file('playground.safetensors', { ...unet(4, true), edm_mean: zeros(4) })
    expect(await failure(() => openModel(playground, options))).toMatchObject({ code: 'unsupported-model' })
  })
})

describe('a pickle', () => {
  const zip = Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0, 0, 0)

  it.each([
    ['model.ckpt', zip],
    ['model.pt', Uint8Array.of(0x80, 2, 0x7d, 0x71)],
    ['disguised.safetensors', zip],
  ])('%s is refused, with the way to convert it', async (name, content) => {
    const error = await failure(() => openModel(disk.write(name, content), options))
    expect(error).toMatchObject({ code: 'unsupported-format' })
    expect(error.message).toMatch(/expected safetensors, got a pickled file: reading a pickle runs whatever code/)
    expect(error.message).toContain(`torch.load('${name}'`)
  })

  it('is refused in a folder too', async () => {
    disk.write('pickled/config.json', '{"_class_name": "AutoencoderKL"}')
    disk.write('pickled/diffusion_pytorch_model.bin', zip)
    const model = await openModel(path.join(disk.folder, 'pickled'), options)
    const error = await failure(() => openModelComponent(model, 'vae', options))
    expect(error).toMatchObject({ code: 'unsupported-format', context: { got: ['diffusion_pytorch_model.bin'] } })
  })
})

describe('a folder', () => {
  it('says its family, scheduler and tokenizers', async () => {
    disk.write(
      'sd/model_index.json',
      JSON.stringify({
        _class_name: 'StableDiffusionPipeline',
        unet: ['diffusers', 'UNet2DConditionModel'],
        tokenizer: ['transformers', 'CLIPTokenizer'],
        scheduler: ['diffusers', 'PNDMScheduler'],
      }),
    )
    disk.write('sd/unet/config.json', '{"_class_name": "UNet2DConditionModel", "use_linear_projection": true}')
    disk.write('sd/unet/diffusion_pytorch_model.safetensors', encodeSafetensors({ 'conv_in.weight': zeros(1) }))
    disk.write('sd/scheduler/scheduler_config.json', '{}')
    mkdirSync(path.join(disk.folder, 'sd/tokenizer'))
    const at = (name: string) => path.join(disk.folder, 'sd', name)
    const model = await openModel(at(''), options)
    expect(model).toMatchObject({
      kind: 'pipeline',
      family: 'sd2',
      className: 'StableDiffusionPipeline',
      scheduler: { kind: 'file', file: at('scheduler/scheduler_config.json') },
      unused: [],
    })
    expect([...model.tokenizers]).toEqual([['tokenizer', { kind: 'folder', folder: at('tokenizer') }]])
    const component = await openModelComponent(model, 'unet', options)
    expect([...component.checkpoint.tensors.keys()]).toEqual(['conv_in.weight'])
  })
})
