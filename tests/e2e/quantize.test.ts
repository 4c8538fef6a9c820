/** The bundled model quantised: its pictures stay near, its weights take less memory, and pictures say what made them. */

import { describe, expect, it } from 'vitest'
import { type Image, type LoadPipelineOptions, loadPipeline } from '../../src'
import { openDevice } from '../../src/bindings'
import { resolveModel } from '../../src/pipelines/bundled'
import { inspectModel } from '../../src/pipelines/inspect'

const PROMPTS = ['a rocket', 'pizza', '赤いりんご', 'ねこ']
/** On 64 prompts int8 has 41.5 dB by mean error, 63 of them above 30 (docs/performance.md). */
const LEAST_PSNR = 30

async function draw(options: LoadPipelineOptions) {
  await using pipe = await loadPipeline('emoji', { dtype: 'f32', ...options })
  const images: Image[] = []
  for (const prompt of PROMPTS) images.push(...(await pipe.generate({ prompt, seed: 7, steps: 8, size: 64 })).images)
  return { images, info: pipe.info, weightsBytes: pipe.memory().weightsBytes }
}

/** Of bytes, by the mean error over all pictures. */
function psnr(got: readonly Image[], want: readonly Image[]): number {
  let squares = 0
  let count = 0
  for (const [i, image] of got.entries()) {
    for (const [j, value] of image.data.entries()) squares += (value - (want[i]?.data[j] ?? 0)) ** 2
    count += image.data.length
  }
  return 10 * Math.log10(255 ** 2 / (squares / count))
}

describe.each(['int8', 'int8-weights'] as const)('%s', (quantize) => {
  it('draws nearly the same pictures, and tells', async () => {
    const plain = await draw({})
    // AVX2 has int8 products on every x86-64 that has it; elsewhere weights alone are quantised.
    const quantized = await draw({ quantize })
    expect(psnr(quantized.images, plain.images)).toBeGreaterThan(LEAST_PSNR)
    expect(quantized.info.quantize).toBe(quantize)
    expect(quantized.images[0]?.metadata).toMatchObject({ quantize })
    expect(plain.info.quantize).toBe('none')
    expect(plain.images[0]?.metadata).not.toHaveProperty('quantize')
    if (quantize === 'int8-weights') expect(quantized.weightsBytes).toBeLessThan(0.8 * plain.weightsBytes)
  })
})

it('weights of 16 bits already are not rounded again', async () => {
  const [plain, rounded] = [await draw({}), await draw({ quantize: 'bf16-weights' })]
  expect(rounded.images.map(({ data }) => data)).toEqual(plain.images.map(({ data }) => data))
  expect(rounded.info.quantize).toBe('bf16-weights')
})

it('inspect measures error and speed', async () => {
  using device = openDevice()
  const { components } = await inspectModel(resolveModel('emoji').folder, device.capabilities, {
    quantize: { device, how: 'int8-weights' },
  })
  const find = (name: string) => components.find((component) => component.name === name)?.network?.quantized
  const [denoiser] = find('transformer') ?? []
  expect(denoiser?.products.quantized).toBeGreaterThan(32)
  expect(denoiser?.error).toBeGreaterThan(1e-3)
  expect(denoiser?.error).toBeLessThan(0.03)
  expect(denoiser?.speedup).toBeGreaterThan(0)
  // Of text encoders, which depend on the prompt alone, nothing is quantised.
  expect(find('text_encoder')).toBeUndefined()
  // Pipelines leave upscalers as they are.
  expect(find('upscaler')).toBeUndefined()
})
