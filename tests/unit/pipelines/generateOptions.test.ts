/** Every option is checked: names, types, ranges; the message says expected and got. */

import { describe, expect, it } from 'vitest'
import { type RequestRules, resolveRequest } from '../../../src/pipelines/generateOptions'

const rules: RequestRules = {
  defaults: { steps: 8, guidance: 2.5, size: 256 },
  sizes: { native: 64, multiple: undefined, upscale: 4 },
  abilities: {
    encodes: true,
    readsMask: false,
    embedsGuidance: false,
    controlNets: 0,
    previews: true,
    opacity: false,
    tiles: false,
    windows: false,
  },
  styles: {
    default: '3d',
    forms: new Map([['en', '{style} {prompt}']]),
    words: new Map([
      ['3d', new Map([['en', '3d']])],
      ['flat', new Map([['en', 'flat']])],
    ]),
  },
}
/** A model that draws any size, steered by two ControlNets. */
const free: RequestRules = {
  ...rules,
  sizes: { native: 64, multiple: 8, upscale: 1 },
  abilities: { ...rules.abilities, controlNets: 2, previews: false, tiles: true, windows: true },
  styles: undefined,
}
/** A model whose decoder gives opacity. */
const cutting: RequestRules = { ...rules, abilities: { ...rules.abilities, opacity: true } }
const resolve = (options: unknown, of = rules) => resolveRequest('generate', options, of)

describe('resolveRequest', () => {
  it('takes what is left out from the model, and a random seed', () => {
    const { pictures, ...request } = resolve({ prompt: 'a rocket' })
    expect(pictures).toMatchObject([{ prompt: 'a rocket', negativePrompt: undefined }])
    expect(request).toEqual({
      steps: 8,
      guidance: 2.5,
      style: undefined,
      guidanceRescale: 0,
      guidanceInterval: undefined,
      samplerOptions: undefined,
      text: { syntax: 'plain', clipSkip: 0 },
      sampler: undefined,
      schedule: undefined,
      size: { width: 256, height: 256 },
      init: undefined,
      control: [],
      hires: undefined,
      upscale: 1,
      transparent: false,
      tiling: 'auto',
      rng: 'philox',
      output: 'images',
      metadata: 'settings',
      previewEvery: 0,
      signal: undefined,
    })
    const seeds = new Set(Array.from({ length: 10 }, () => resolve({ prompt: 'x' }).pictures[0]?.seed))
    expect(seeds.size).toBeGreaterThan(8)
  })

  it('keeps what is given', () => {
    const { signal } = new AbortController()
    const given = { steps: 3, guidance: 4, sampler: 'DPM++ 2M Karras' }
    const more = { rng: 'torch-cpu', schedule: 'karras', signal, guidanceRescale: 0.5, output: 'images' }
    const texts = { prompt: 'a', negativePrompt: 'b', seed: 2n ** 60n, count: 2 }
    Object.assign(more, { style: 'flat', samplerOptions: { eulerAtFinal: true }, guidanceInterval: [0.2, 5] })
    expect(resolve({ ...given, ...more, ...texts, size: 512, metadata: { prompt: true } })).toMatchObject({
      ...given,
      ...more,
      pictures: [
        { prompt: 'a', negativePrompt: 'b', seed: 2n ** 60n },
        { prompt: 'a', negativePrompt: 'b', seed: 2n ** 60n + 1n },
      ],
      size: { width: 512, height: 512 },
      metadata: 'settings and prompts',
    })
  })

  it('knows schedules by their other names, and a scale below 1 for samplers that take a share', () => {
    expect(resolve({ prompt: 'x', schedule: 'SGM Uniform' }).schedule).toBe('sgmUniform')
    const { guidance, pictures } = resolve({ prompt: 'x', sampler: 'euler_cfg_pp', guidance: 0.6, negativePrompt: 'y' })
    expect([guidance, pictures[0]?.negativePrompt]).toEqual([0.6, 'y'])
    expect(resolve({ prompt: 'x', sampler: 'Euler CFG++' }).guidance).toBe(1)
  })

  it('makes count pictures of each prompt, with the seeds and negative prompts given', () => {
    const pictures = (options: object) =>
      resolve({ prompt: ['a', 'b'], ...options }).pictures.map(({ prompt, negativePrompt, seed }) => [
        prompt,
        negativePrompt,
        Number(seed),
      ])
    expect(pictures({ seed: 5, count: 2, negativePrompt: 'c' })).toEqual([
      ['a', 'c', 5],
      ['a', 'c', 6],
      ['b', 'c', 7],
      ['b', 'c', 8],
    ])
    expect(pictures({ seed: [5, 3n], negativePrompt: ['c', ''] })).toEqual([
      ['a', 'c', 5],
      ['b', '', 3],
    ])
  })

  it('lets the picture a request starts from decide the size, where the model draws many', () => {
    const init = { width: 1, height: 1, data: Uint8Array.of(1, 2, 3) }
    expect(resolve({ prompt: 'x', init }, free).size).toBeUndefined()
    expect(resolve({ prompt: 'x', init }).size).toEqual({ width: 256, height: 256 })
    expect(resolve({ prompt: 'x', init }, free).init).toMatchObject({ strength: 0.8, mask: undefined })
    expect(resolve({ prompt: 'x', init, mask: init }, free).init).toMatchObject({ strength: 1, mask: { blur: 4 } })
    expect(resolve({ prompt: 'x', size: { width: 96, height: 64 } }, free).size).toEqual({ width: 96, height: 64 })
  })

  it('cuts pictures out where the decoder gives opacity', () => {
    expect(resolve({ prompt: 'x', transparent: true }, cutting).transparent).toBe(true)
    expect(resolve({ prompt: 'x' }, cutting).transparent).toBe(false)
    expect(resolve({ prompt: 'x', transparent: false }).transparent).toBe(false)
  })

  const dot = { width: 1, height: 1, data: Uint8Array.of(1, 2, 3) }
  it.each<[object, RequestRules, RegExp]>([
    [{ strength: 0.5 }, free, /strength: expected nothing without init, got 0.5/],
    [{ mask: dot }, free, /mask: expected nothing without init/],
    [{ init: dot, maskBlur: 2 }, free, /maskBlur: expected nothing without a mask, got 2/],
    [{ init: dot, strength: 0 }, free, /strength: expected a number above 0, at most 1, got 0/],
    [{ init: '' }, free, /init: expected a file, its bytes, or/],
    [{ init: { width: 2, height: 2 } }, free, /init: expected a file, its bytes, or/],
    [{ init: { ...dot, width: 2 } }, free, /init: expected 6 bytes for 2x1x3, got 3/],
    [{ init: dot }, { ...free, abilities: { ...free.abilities, encodes: false } }, /the model has no encoder/],
    [{}, { ...free, abilities: { ...free.abilities, readsMask: true } }, /init: expected a picture/],
    [{ init: dot }, { ...free, abilities: { ...free.abilities, readsMask: true } }, /mask: expected a mask/],
    [{ control: [{ image: dot }] }, rules, /control: expected none \(no ControlNet was loaded\), got "1 of them"/],
    [{ control: Array(3).fill({ image: dot }) }, free, /control: expected at most 2/],
    [{ control: dot }, free, /control: expected a list of/],
    [{ control: [{ image: dot, weight: 1 }] }, free, /control\[0\]: expected options among image, scale, interval/],
    [{ control: [{ image: dot, interval: [0.5, 0.5] }] }, free, /control\[0\].interval: expected \[start, end\]/],
    [{ hires: {} }, rules, /hires: expected nothing \(the model has one size\)/],
    [{ hires: { scale: 1 } }, free, /hires.scale: expected a number above 1/],
    [{ upscale: 2 }, free, /upscale: expected nothing \(no upscaler was loaded\)/],
    [{ upscale: 2 }, rules, /upscale: expected nothing \(size decides for this model\)/],
    [{ tiling: true }, rules, /tiling: expected false or nothing/],
    [{ tiling: { size: 200 } }, free, /tiling.size: expected a multiple of 64/],
    [{ size: 60 }, free, /size: expected multiples of 8 from 8 to 4096, got 60/],
    [{ size: { width: 64, height: 60 } }, free, /size: expected multiples of 8 from 8 to 4096, got 60/],
    [
      { transparent: true },
      rules,
      /transparent: expected false \(the decoder gives colours alone; one that .*out_channels 4.*, got true/,
    ],
    [{ transparent: 1 }, rules, /transparent: expected true or false, got 1/],
    [{ output: 'latents', transparent: true }, cutting, /transparent: expected nothing with output latents/],
    [{ output: 'latents', metadata: false }, free, /metadata: expected nothing with output latents/],
    [{ clipSkip: 1 }, rules, /clipSkip: expected nothing/],
    [{ promptSyntax: 'weights' }, rules, /promptSyntax: expected nothing/],
    [{ promptSyntax: 'a1111' }, free, /promptSyntax: expected one of weights, plain/],
    [{ prompt: [] }, free, /prompt: expected at least one prompt/],
    [{ prompt: ['a', ''] }, free, /prompt\[1\]: expected words/],
    [{ prompt: ['a', 'b'], negativePrompt: ['c'] }, free, /negativePrompt: expected one, or one for each of 2 prompts/],
    [{ prompt: ['a', 'b'], seed: [1] }, free, /seed: expected one, or one for each of 2 prompts/],
    [{ prompt: Array(9).fill('a'), count: 30 }, free, /count: expected at most 256 pictures in all/],
    [{ guidance: 1, guidanceRescale: 0.5 }, free, /guidanceRescale: expected nothing with guidance 1/],
    [{ guidance: 1, guidanceInterval: [0, 1] }, free, /guidanceInterval: expected nothing with guidance 1/],
    [{ guidanceInterval: [3, 1] }, free, /guidanceInterval: expected two noise ratios/],
    [{ samplerOptions: [1] }, free, /samplerOptions: expected an object of options/],
    [{ style: 'flat' }, free, /style: expected nothing \(the model has no styles by name\)/],
    [{ style: 'flatt' }, rules, /style: expected one of 3d, flat, got flatt; did you mean flat\?/],
    [
      { negativePrompt: 'x' },
      { ...free, abilities: { ...free.abilities, embedsGuidance: true } },
      /negativePrompt: expected none/,
    ],
  ])('refuses %o', (options, of, message) => {
    expect(() => resolve({ prompt: 'a rocket', ...options }, of)).toThrow(message)
    expect(() => resolve({ prompt: 'a rocket', ...options }, of)).toThrow(
      expect.objectContaining({ name: 'EngineError' }),
    )
  })

  it.each<[Record<string, unknown>, string, RegExp]>([
    [{ prompt: '' }, 'invalid-option', /prompt: expected words that say what to draw, got ""/],
    [{ prompt: ' \n' }, 'invalid-option', /prompt/],
    [{ prompt: undefined }, 'invalid-option', /got "none"/],
    [{ prompt: 7 }, 'invalid-option', /prompt: expected a string, got 7/],
    [{ steps: Number.NaN }, 'invalid-option', /steps: expected a whole number from 1 to 1000, got NaN/],
    [{ steps: 0 }, 'invalid-option', /got 0/],
    [{ steps: 1.5 }, 'invalid-option', /got 1.5/],
    [{ steps: '4' }, 'invalid-option', /got "4"/],
    [{ steps: Number.POSITIVE_INFINITY }, 'invalid-option', /got Infinity/],
    [{ guidance: Number.NaN }, 'invalid-option', /guidance: expected a number from 1 to 50, got NaN/],
    [{ guidance: 0.5 }, 'invalid-option', /got 0.5/],
    [{ seed: -1 }, 'invalid-option', /seed/],
    [{ seed: Number.NaN }, 'invalid-option', /seed/],
    [{ seed: 0.5 }, 'invalid-option', /seed/],
    [{ seed: '7' }, 'invalid-option', /seed: expected a whole number, got "7"/],
    [{ seed: 2n ** 64n }, 'invalid-option', /seed/],
    [{ seed: Number.MAX_SAFE_INTEGER, count: 2 }, 'invalid-option', /seed/],
    [{ sampler: 'eulr' }, 'unknown-sampler', /expected one of .*euler.*, got eulr/],
    [{ schedule: 'karas' }, 'invalid-option', /got "karas \(karras\?\)"/],
    [{ size: 100 }, 'invalid-option', /size: expected a multiple of 8 from 16 to 1024, got 100/],
    [{ size: 8 }, 'invalid-option', /got 8/],
    [{ size: 2048 }, 'invalid-option', /got 2048/],
    [{ size: Number.NaN }, 'invalid-option', /got NaN/],
    [{ size: null }, 'invalid-option', /size/],
    [{ count: 0 }, 'invalid-option', /count/],
    [{ count: 257 }, 'invalid-option', /count/],
    [{ rng: 'mersenne' }, 'invalid-option', /expected one of philox, torch-cpu/],
    [{ metadata: 'yes' }, 'invalid-option', /metadata/],
    [{ metadata: { prompts: true } }, 'unknown-option', /did you mean prompt\?/],
    [{ metadata: { prompt: 1 } }, 'invalid-option', /metadata.prompt/],
    [{ signal: {} }, 'invalid-option', /signal: expected an AbortSignal/],
    [{ negativePrompt: 'b', guidance: 1 }, 'invalid-option', /never looks at it/],
    [{ stpes: 4 }, 'unknown-option', /got stpes; did you mean steps\?/],
    [{ colour: 'red' }, 'unknown-option', /got colour$/],
    [{ preview: { every: 2 } }, 'unknown-option', /got preview/],
  ])('refuses %o', (options, code, message) => {
    const given = { prompt: 'a rocket', ...options }
    expect(() => resolve(given)).toThrow(message)
    expect(() => resolve(given)).toThrow(expect.objectContaining({ name: 'EngineError', code }))
  })

  it('refuses a prompt beyond the bound', () => {
    expect(() => resolve({ prompt: 'a'.repeat(20_001) })).toThrow(/at most 20000 characters, got "20001 characters"/)
    expect(resolve({ prompt: 'a'.repeat(10_000) }).pictures[0]?.prompt.length).toBe(10_000)
  })

  it.each([null, 'a rocket', 7, ['a rocket']])('refuses %j in place of options', (options) => {
    expect(() => resolve(options)).toThrow(expect.objectContaining({ code: 'invalid-option' }))
  })

  it('lets only streams have previews', () => {
    const stream = (preview: unknown) => resolveRequest('stream', { prompt: 'x', preview }, rules).previewEvery
    expect([stream(undefined), stream({}), stream({ every: 5 })]).toEqual([0, 1, 5])
    expect(() => stream({ every: Number.NaN })).toThrow(/every/)
    expect(() => resolveRequest('stream', { prompt: 'x', preview: {} }, free)).toThrow(/no previewDecoder was loaded/)
  })

  it('offers a model without an upscaler its own size alone', () => {
    const plain = { ...rules, sizes: { ...rules.sizes, upscale: 1 } }
    expect(resolveRequest('generate', { prompt: 'x', size: 64 }, plain).size).toEqual({ width: 64, height: 64 })
    expect(() => resolveRequest('generate', { prompt: 'x', size: 256 }, plain)).toThrow(/the only size/)
  })
})
