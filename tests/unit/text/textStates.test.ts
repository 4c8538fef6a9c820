/** States of text encoders: which ones, weighted, joined; and embeddings as files hold them. */

import { describe, expect, it } from 'vitest'
import type { Tensor } from '../../../src/tensor/tensor'
import { applyWeights } from '../../../src/text/applyWeights'
import { joinChannels, joinWindows } from '../../../src/text/joinStates'
import { aestheticConditions, negativeIsZeros, sizeConditions, textOutputs } from '../../../src/text/textOutputs'
import {
  assertFits,
  placeholdersFor,
  type TextualInversion,
  textualInversion,
} from '../../../src/text/textualInversion'

describe('applyWeights', () => {
  it('multiplies and restores the mean', () => {
    // By hand: mean of [1 2 | 3 4] is 2.5, of [2 4 | 3 4] 3.25.
    const got = applyWeights(Float32Array.of(1, 2, 3, 4), Float32Array.of(2, 1))
    const ratio = Math.fround(10 / 13)
    expect(got).toEqual(Float32Array.of(2 * ratio, 4 * ratio, 3 * ratio, 4 * ratio))
    expect(got.reduce((sum, value) => sum + value, 0) / 4).toBeCloseTo(2.5, 6)
  })

  it('leaves states without weights alone, and those without a mean finite', () => {
    const states = Float32Array.of(1, 2)
    expect(applyWeights(states, undefined)).toBe(states)
    expect(applyWeights(states, Float32Array.of(0, 0))).toEqual(Float32Array.of(0, 0))
    expect(states).toEqual(Float32Array.of(1, 2))
  })
})

describe('joining', () => {
  it('puts windows one after the other and zeros behind', () => {
    const joined = joinWindows([Float32Array.of(1, 2), Float32Array.of(3, 4)], 3, 2)
    expect(joined).toEqual(Float32Array.of(1, 2, 3, 4, 0, 0))
  })

  it('puts encoders side by side', () => {
    const joined = joinChannels([Float32Array.of(1, 2), Float32Array.of(3, 4, 5, 6)], 2)
    expect(joined).toEqual(Float32Array.of(1, 3, 4, 2, 5, 6))
  })
})

describe('textOutputs', () => {
  it('are those diffusers reads', () => {
    expect(textOutputs('sd', 0, [12])).toEqual([
      { encoder: 'text_encoder', states: 'last_hidden_state', pooled: undefined },
    ])
    expect(textOutputs('sd', 1, [12])[0]?.states).toBe('normed_hidden_states.-2')
    expect(textOutputs('sdxl', 0, [12, 32])).toEqual([
      { encoder: 'text_encoder', states: 'hidden_states.-2', pooled: undefined },
      { encoder: 'text_encoder_2', states: 'hidden_states.-2', pooled: 'text_embeds' },
    ])
    expect(textOutputs('sdxl', 1, [12, 32]).map(({ states }) => states)).toEqual([
      'hidden_states.-3',
      'hidden_states.-3',
    ])
    expect(textOutputs('sdxl-refiner', 0, [32]).map(({ encoder }) => encoder)).toEqual(['text_encoder_2'])
  })

  it.each<[Parameters<typeof textOutputs>, number]>([
    [['sd', 12, [12]], 11],
    [['sdxl', 11, [12, 32]], 10],
    [['sd', -1, [12]], 11],
    [['sd', 0.5, [12]], 11],
  ])('%j leaves no layer', (given, most) => {
    expect(() => textOutputs(...given)).toThrow(`clipSkip: expected a whole number from 0 to ${most}`)
  })

  it('zeros stand for no negative prompt in SDXL alone', () => {
    expect(negativeIsZeros('sdxl', undefined, {})).toBe(true)
    expect(negativeIsZeros('sdxl', undefined, { force_zeros_for_empty_prompt: true })).toBe(true)
    expect(negativeIsZeros('sdxl', undefined, { force_zeros_for_empty_prompt: false })).toBe(false)
    expect(negativeIsZeros('sdxl', '', {})).toBe(false)
    expect(negativeIsZeros('sd', undefined, {})).toBe(false)
  })

  it('sizes come in the order of training', () => {
    expect([...sizeConditions([1, 2], [3, 4], [5, 6])]).toEqual([1, 2, 3, 4, 5, 6])
    expect([...aestheticConditions([1, 2], [3, 4], 6)]).toEqual([1, 2, 3, 4, 6])
  })
})

describe('textualInversion', () => {
  const tensor = (rows: number, width: number): Tensor => ({
    dtype: 'f32',
    shape: [rows, width],
    data: Float32Array.from({ length: rows * width }, (_, i) => i),
  })
  const file = 'somewhere/badHands.safetensors'
  const widthsOf = ({ vectors }: TextualInversion) => vectors.map(([first]) => first?.length)

  it.each<[string, Readonly<Record<string, Tensor>>, string]>([
    ['of the web UI', { emb_params: tensor(2, 4) }, 'badHands'],
    ['of the web UI, from a pickle', { 'string_to_param.*': tensor(2, 4) }, 'badHands'],
    ['of the web UI, with others beside', { emb_params: tensor(2, 4), step: tensor(1, 1) }, 'badHands'],
    ['of diffusers', { '<cat-toy>': tensor(2, 4) }, '<cat-toy>'],
  ])('reads files %s', (_, tensors, name) => {
    const read = textualInversion(tensors, { file })
    expect(read.name).toBe(name)
    expect(read.vectors).toEqual([[Float32Array.of(0, 1, 2, 3), Float32Array.of(4, 5, 6, 7)]])
    expect(textualInversion(tensors, { file, name: ' mine ' }).name).toBe('mine')
  })

  it('reads both encoders of SDXL, half precision and a single vector', () => {
    const sdxl = textualInversion({ clip_l: tensor(2, 4), clip_g: tensor(2, 6) }, { file })
    expect(widthsOf(sdxl)).toEqual([4, 6])
    const trained = textualInversion({ text_encoders_1: tensor(1, 6), text_encoders_0: tensor(1, 4) }, { file })
    expect(widthsOf(trained)).toEqual([4, 6])
    expect(placeholdersFor([sdxl, trained], 1)).toEqual([
      { name: 'badHands', vectors: sdxl.vectors[1] },
      { name: 'badHands', vectors: trained.vectors[1] },
    ])
    const half: Tensor = { dtype: 'f16', shape: [2], data: Uint16Array.of(0x3c00, 0xc000) }
    expect(textualInversion({ '<x>': half }, { file }).vectors).toEqual([[Float32Array.of(1, -2)]])
    expect(() => assertFits(sdxl, [4, 6])).not.toThrow()
    expect(() => assertFits(sdxl, [4])).toThrow(/badHands: expected vectors of 4 numbers.*got 4 and 6/)
    expect(() => assertFits(sdxl, [4, 8])).toThrow(/expected vectors of 4 and 8 numbers/)
    expect(() => assertFits(sdxl, [6, 4])).toThrow(/expected vectors of 6 and 4 numbers.*got 4 and 6/)
  })

  it.each<[string, Readonly<Record<string, Tensor>>, RegExp]>([
    ['nothing', {}, /got no tensors/],
    ['several unknown tensors', { a: tensor(1, 2), b: tensor(1, 2) }, /got a, b/],
    [
      'a matrix too many',
      { emb_params: { ...tensor(2, 4), shape: [1, 2, 4] } },
      /vectors \[n, D\].*got \[1, 2, 4\] f32/,
    ],
    ['more than a window holds', { emb_params: tensor(76, 1) }, /1 to 75 vectors/],
    ['integers', { emb_params: { dtype: 'i32', shape: [1, 1], data: Int32Array.of(1) } }, /got \[1, 1\] i32/],
    ['SDXL with different counts', { clip_l: tensor(1, 4), clip_g: tensor(2, 6) }, /as many vectors.*got 1 and 2/],
  ])('refuses %s', (_, tensors, message) => {
    const error = expect.objectContaining({ code: 'unsupported-format' })
    expect(() => textualInversion(tensors, { file })).toThrow(error)
    expect(() => textualInversion(tensors, { file })).toThrow(message)
  })

  it('refuses an empty name', () => {
    expect(() => textualInversion({ '<x>': tensor(1, 2) }, { file, name: ' ' })).toThrow(/expected a name/)
  })
})
