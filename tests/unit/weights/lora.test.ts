import { describe, expect, it } from 'vitest'
import {
  type Checkpoint,
  encodeSafetensors,
  type Lora,
  matchLoras,
  openLora,
  patchCheckpoint,
  scoped,
} from '../../../src/weights'
import { readHeader } from '../../golden/cases'
import { failure, scratch } from './scratch'

const disk = scratch()

const zeros = (...shape: number[]) => ({
  dtype: 'f16' as const,
  shape,
  data: new Uint16Array(shape.reduce((product, size) => product * size, 1)),
})
const number = (value: number) => ({ dtype: 'f32' as const, shape: [], data: Float32Array.of(value) })

let files = 0
async function lora(
  tensors: Parameters<typeof encodeSafetensors>[0],
  metadata?: Readonly<Record<string, string>>,
): Promise<Lora> {
  files += 1
  const file = disk.write(`lora${files}.safetensors`, encodeSafetensors(tensors, metadata))
  return openLora(file, { readIndex: readHeader })
}

function checkpoint(shapes: Readonly<Record<string, number[]>>): Checkpoint {
  const entries = Object.entries(shapes).map(
    ([name, shape]) => [name, { name, shape, dtype: 'f16', file: 'model', begin: 0, end: 0 }] as const,
  )
  return { tensors: new Map(entries), identity: 'plain' }
}

const UNET = checkpoint({
  'conv_in.weight': [8, 4, 3, 3],
  'conv_in.bias': [8],
  'down_blocks.0.resnets.0.conv1.weight': [8, 8, 3, 3],
  'down_blocks.0.attentions.0.norm.weight': [8],
  'down_blocks.0.attentions.0.proj_in.weight': [8, 8, 1, 1],
  'down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight': [8, 8],
  'down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0.weight': [8, 8],
  'down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k.weight': [8, 6],
})
const TEXT = checkpoint({ 'text_model.encoder.layers.0.self_attn.q_proj.weight': [6, 6] })
const MODEL = new Map([
  ['unet', UNET],
  ['text_encoder', TEXT],
])
const BLOCK = 'down_blocks.0.attentions.0.transformer_blocks.0'

/** What a LoRA patches: component, tensor, and the factor of its product. */
function patched(one: Lora, scale = 1): [string, number][] {
  const { patches } = matchLoras([{ lora: one, scale }], MODEL)
  return [...patches].flatMap(([component, { terms }]) =>
    [...terms].map(([name, list]): [string, number] => [`${component}/${name}`, list[0]?.scale ?? Number.NaN]),
  )
}

describe('keys', () => {
  const q = `unet/${BLOCK}.attn1.to_q.weight`
  const flat = BLOCK.replaceAll('.', '_')
  it.each<[string, string, string, string]>([
    ['kohya', `lora_unet_${flat}_attn1_to_q.lora_up.weight`, `lora_unet_${flat}_attn1_to_q.lora_down.weight`, q],
    [
      'kohya, original blocks',
      'lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_up.weight',
      'lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q.lora_down.weight',
      q,
    ],
    ['PEFT', `unet.${BLOCK}.attn1.to_q.lora_B.weight`, `unet.${BLOCK}.attn1.to_q.lora_A.weight`, q],
    [
      'PEFT with an adapter',
      `base_model.model.unet.${BLOCK}.attn1.to_q.lora_B.style.weight`,
      `base_model.model.unet.${BLOCK}.attn1.to_q.lora_A.style.weight`,
      q,
    ],
    ['diffusers', `unet.${BLOCK}.attn1.to_q.lora.up.weight`, `unet.${BLOCK}.attn1.to_q.lora.down.weight`, q],
    [
      'processors',
      `unet.${BLOCK}.attn1.processor.to_q_lora.up.weight`,
      `unet.${BLOCK}.attn1.processor.to_q_lora.down.weight`,
      q,
    ],
    [
      'processors of a UNet alone',
      `${BLOCK}.attn1.processor.to_q_lora.up.weight`,
      `${BLOCK}.attn1.processor.to_q_lora.down.weight`,
      q,
    ],
    [
      'processors, output',
      `unet.${BLOCK}.attn1.processor.to_out_lora.up.weight`,
      `unet.${BLOCK}.attn1.processor.to_out_lora.down.weight`,
      `unet/${BLOCK}.attn1.to_out.0.weight`,
    ],
  ])('of %s', async (_, up, down, name) => {
    expect(patched(await lora({ [up]: zeros(8, 2), [down]: zeros(2, 8) }))).toEqual([[name, 1]])
  })

  it.each([
    'lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_%s.weight',
    'lora_te1_text_model_encoder_layers_0_self_attn_q_proj.lora_%s.weight',
    'text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_linear_layer.%s.weight',
    'text_encoder.text_model.encoder.layers.0.self_attn.to_q_lora.%s.weight',
    'text_encoder.encoder.layers.0.self_attn.q_proj.lora.%s.weight',
  ])('of text encoders: %s', async (key) => {
    const made = await lora({ [key.replace('%s', 'up')]: zeros(6, 2), [key.replace('%s', 'down')]: zeros(2, 6) })
    expect(patched(made)).toEqual([['text_encoder/text_model.encoder.layers.0.self_attn.q_proj.weight', 1]])
  })
})

describe('scales', () => {
  const key = `unet.${BLOCK}.attn2.to_k`
  const factors = { [`${key}.lora_B.weight`]: zeros(8, 4), [`${key}.lora_A.weight`]: zeros(4, 6) }

  it('are alpha over rank, times the weight', async () => {
    expect(patched(await lora(factors), 0.5)[0]?.[1]).toBe(0.5)
    expect(patched(await lora({ ...factors, [`${key}.alpha`]: number(2) }), 0.5)[0]?.[1]).toBe(0.25)
  })

  it.each<[string, Record<string, unknown>, number]>([
    ['alpha', { 'unet.lora_alpha': 2 }, 0.5],
    ['an exception', { 'unet.lora_alpha': 2, 'unet.alpha_pattern': { [`${BLOCK}.attn2.to_k`]: 8 } }, 2],
    ['an exception by its end', { 'unet.lora_alpha': 2, 'unet.alpha_pattern': { 'attn2.to_k': 16 } }, 4],
    ['the root of the rank', { 'unet.lora_alpha': 2, 'unet.use_rslora': true }, 1],
    ['another component', { 'text_encoder.lora_alpha': 2 }, 1],
  ])('are those of the metadata: %s', async (_, settings, scale) => {
    const made = await lora(factors, { lora_adapter_metadata: JSON.stringify(settings) })
    expect(patched(made)[0]?.[1]).toBe(scale)
  })
})

describe('shapes', () => {
  const conv = 'lora_unet_down_blocks_0_resnets_0_conv1'
  it('of kernels: two factors, three factors, and 1x1', async () => {
    const two = { [`${conv}.lora_up.weight`]: zeros(8, 2, 1, 1), [`${conv}.lora_down.weight`]: zeros(2, 8, 3, 3) }
    const three = {
      [`${conv}.lora_up.weight`]: zeros(8, 2, 1, 1),
      [`${conv}.lora_mid.weight`]: zeros(2, 2, 3, 3),
      [`${conv}.lora_down.weight`]: zeros(2, 8, 1, 1),
    }
    const key = 'lora_unet_down_blocks_0_attentions_0_proj_in'
    const matrix = { [`${key}.lora_up.weight`]: zeros(8, 2), [`${key}.lora_down.weight`]: zeros(2, 8) }
    for (const factors of [two, three, matrix]) expect(patched(await lora(factors))).toHaveLength(1)
  })

  it('that do not fit are named with the layer', async () => {
    const made = await lora({
      [`${conv}.lora_up.weight`]: zeros(8, 2),
      [`${conv}.lora_down.weight`]: zeros(2, 16, 3, 3),
    })
    const error = await failure(() => patched(made))
    expect(error).toMatchObject({ code: 'lora-mismatch' })
    expect(error.message).toMatch(
      /1 of 1 layers do not fit: lora_unet_down_blocks_0_resnets_0_conv1 for unet\/down_blocks\.0\.resnets\.0\.conv1\.weight \[8, 8, 3, 3\], got \[8, 2\] · \[2, 16, 3, 3\]/,
    )
  })
})

describe('what goes nowhere', () => {
  const key = `unet.${BLOCK}.attn2.to_k`
  const factors = { [`${key}.lora_B.weight`]: zeros(8, 4), [`${key}.lora_A.weight`]: zeros(4, 6) }

  it('is reported where the rest fits', async () => {
    const made = await lora({
      ...factors,
      'lora_te2_text_projection.lora_up.weight': zeros(4, 1),
      'lora_te2_text_projection.lora_down.weight': zeros(1, 4),
      emb_params: zeros(3),
    })
    const { unused } = matchLoras([{ lora: made, scale: 1 }], MODEL)
    expect(unused).toEqual([`${made.file}: emb_params`, `${made.file}: lora_te2_text_projection`])
  })

  it('is an error where it is everything', async () => {
    const made = await lora({ 'unet.other.lora_B.weight': zeros(2, 1), 'unet.other.lora_A.weight': zeros(1, 2) })
    expect(await failure(() => patched(made))).toMatchObject({
      code: 'lora-mismatch',
      message: expect.stringMatching(/1 are not in unet, text_encoder: unet\.other/),
    })
  })
})

describe('other files', () => {
  it.each([
    ['DoRA', { 'lora_unet_x.dora_scale': zeros(1) }],
    ['LoHa', { 'lora_unet_x.hada_w1_a': zeros(1) }],
    ['LoKr', { 'lora_unet_x.lokr_w1': zeros(1) }],
  ])('%s is told', async (kind, tensors) => {
    const error = await failure(() => lora(tensors))
    expect(error).toMatchObject({ code: 'unsupported-format', context: { got: kind } })
  })

  it('a layer of one factor, and a file without any', async () => {
    const half = await failure(() => lora({ 'lora_unet_x.lora_up.weight': zeros(1) }))
    expect(half.message).toMatch(/"lora_unet_x": expected both factors of the layer, got none that goes down/)
    const none = await failure(() => lora({ 'conv_in.weight': zeros(1) }))
    expect(none.message).toMatch(/expected a LoRA .*, got conv_in\.weight/)
  })
})

describe('a patched checkpoint', () => {
  it('has an identity of its own, and stays patched under a scope', async () => {
    const key = `unet.${BLOCK}.attn2.to_k`
    const made = await lora({ [`${key}.lora_B.weight`]: zeros(8, 4), [`${key}.lora_A.weight`]: zeros(4, 6) })
    const at = (scale: number): Checkpoint => {
      const patch = matchLoras([{ lora: made, scale }], MODEL).patches.get('unet')
      if (!patch) throw new Error('no patch')
      return patchCheckpoint(UNET, patch)
    }
    expect(new Set([UNET.identity, at(1).identity, at(0.5).identity]).size).toBe(3)
    expect(at(1).identity).toBe(at(1).identity)
    const inside = scoped(at(1), 'unet')
    expect([...(inside.patch?.terms.keys() ?? [])]).toEqual([`unet/${BLOCK}.attn2.to_k.weight`])
    expect(inside.patch?.base).toBe(scoped(UNET, 'unet').identity)
    expect(patchCheckpoint(at(1), { terms: new Map() }).identity).toBe(UNET.identity)
  })
})
