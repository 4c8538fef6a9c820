/** Every option is checked: names, types, ranges; the message says expected and got. */

import { describe, expect, it } from 'vitest'
import type { PipelineDefaults } from '../../../src/pipelines/defaults'
import { resolveRequest } from '../../../src/pipelines/generateOptions'

const defaults: PipelineDefaults = {
  steps: 8,
  guidance: 2.5,
  size: 256,
  nativeSize: 64,
  textLength: 16,
  upscale: 4,
  upscaler: 'upscaler',
  labelsFile: undefined,
}
const resolve = (options: unknown) => resolveRequest('generate', options, defaults)

describe('resolveRequest', () => {
  it('takes what is left out from the model, and a random seed', () => {
    const { seed, ...request } = resolve({ prompt: 'a rocket' })
    expect(request).toEqual({
      prompt: 'a rocket',
      negativePrompt: '',
      steps: 8,
      guidance: 2.5,
      sampler: undefined,
      schedule: undefined,
      size: 256,
      count: 1,
      rng: 'philox',
      metadata: 'settings',
      previewEvery: 0,
      signal: undefined,
    })
    const seeds = new Set([seed, ...Array.from({ length: 9 }, () => resolve({ prompt: 'x' }).seed)])
    expect(seeds.size).toBeGreaterThan(8)
  })

  it('keeps what is given', () => {
    const { signal } = new AbortController()
    const given = {
      prompt: 'a',
      negativePrompt: 'b',
      steps: 3,
      seed: 2n ** 60n,
      guidance: 4,
      sampler: 'DPM++ 2M Karras',
    }
    const more = { size: 512, count: 2, rng: 'torch-cpu', metadata: { prompt: true }, schedule: 'karras', signal }
    expect(resolve({ ...given, ...more })).toEqual({
      ...given,
      ...more,
      metadata: 'settings and prompts',
      previewEvery: 0,
    })
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
    [{ size: 100 }, 'invalid-option', /size: expected a multiple of 8 from 64 to 1024, got 100/],
    [{ size: 32 }, 'invalid-option', /got 32/],
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
    expect(resolve({ prompt: 'a'.repeat(10_000) }).prompt.length).toBe(10_000)
  })

  it.each([null, 'a rocket', 7, ['a rocket']])('refuses %j in place of options', (options) => {
    expect(() => resolve(options)).toThrow(expect.objectContaining({ code: 'invalid-option' }))
  })

  it('lets only streams have previews', () => {
    const stream = (preview: unknown) => resolveRequest('stream', { prompt: 'x', preview }, defaults).previewEvery
    expect([stream(undefined), stream({}), stream({ every: 5 })]).toEqual([0, 1, 5])
    expect(() => stream({ every: Number.NaN })).toThrow(/every/)
  })

  it('offers a model without an upscaler its own size alone', () => {
    const plain = { ...defaults, size: 64, upscale: 1 }
    expect(resolveRequest('generate', { prompt: 'x', size: 64 }, plain).size).toBe(64)
    expect(() => resolveRequest('generate', { prompt: 'x', size: 256 }, plain)).toThrow(/the only size/)
  })
})
