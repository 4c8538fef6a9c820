/** Metadata becomes options that make the picture again. */

import { expect, it } from 'vitest'
import type { Provenance } from '../../../src/images/metadata'
import { optionsFromMetadata } from '../../../src/pipelines/optionsFromMetadata'
import { Pipeline } from '../../../src/pipelines/pipeline'
import { closedFormModel } from './closedFormModel'

it.each([
  ['a seed', { seed: 3 }],
  ['a large seed, another generator and sampler', { seed: 2n ** 63n, rng: 'torch-cpu', sampler: 'euler_a', steps: 5 }],
  ["a schedule in the sampler's name", { sampler: 'DPM++ 2M Karras', guidance: 1.5, size: 32 }],
  ['a schedule and prompts', { schedule: 'exponential', negativePrompt: 'b', metadata: { prompt: true } }],
] as const)('%s', async (_, options) => {
  using pipe = new Pipeline((await closedFormModel()).model)
  const [, image] = (await pipe.generate({ prompt: 'rocket', count: 2, ...options })).images
  if (image?.metadata === undefined) throw new Error('no metadata')
  const { negativePrompt } = { negativePrompt: undefined, ...options }
  const again = await pipe.generate({ prompt: 'rocket', negativePrompt, ...optionsFromMetadata(image.metadata) })
  expect(again.images[0]?.data).toEqual(image.data)
  expect(again.images[0]?.metadata).toEqual(image.metadata)
})

it.each([
  ['no object', 'png'],
  ['nothing', undefined],
  ['a size without a side', { width: 64, seed: 1 }],
  ['a seed of words', { width: 64, height: 64, seed: 'seven' }],
])('%s is refused', (_, metadata) => {
  expect(() => optionsFromMetadata(metadata as unknown as Provenance)).toThrowError(
    expect.objectContaining({ name: 'EngineError', code: 'invalid-argument' }),
  )
})
