/** Textual inversion against diffusers: latents of prompts that name an embedding, and the bits of those that name none. */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Device, type GenerateOptions, loadPipeline, openDevice } from '../../../src'
import { readTensors } from '../../../src/weights'
import { numbers, readHeader, relativeL2 } from '../cases'

const root = __dirname
const models = path.resolve(root, '..', 'pipelines')
const manifest: {
  readonly cases: readonly {
    readonly case: string
    readonly model: string
    readonly embeddings: readonly string[]
    readonly file: string
    readonly options: GenerateOptions
  }[]
  readonly tolerance: number
  readonly sha256: Readonly<Record<string, string>>
} = JSON.parse(readFileSync(path.join(root, 'MANIFEST.json'), 'utf8'))

let device: Device
beforeAll(() => {
  device = openDevice({ device: 'cpu' })
})
afterAll(() => device?.dispose())

const load = (model: string, embeddings: readonly string[] = []) => {
  const inversions = embeddings.map((file) => ({ file: path.join(root, file) }))
  return loadPipeline(path.join(models, model), { device, dtype: 'f32', inversions })
}

it('has the files of its script', () => {
  for (const [file, hash] of Object.entries(manifest.sha256)) {
    const bytes = readFileSync(path.join(root, file))
    expect([file, createHash('sha256').update(bytes).digest('hex')]).toEqual([file, hash])
  }
})

describe('diffusers', () => {
  it.each(manifest.cases)('$case', async (golden) => {
    const want = await readTensors(await readHeader(path.join(root, golden.file)))
    const options: GenerateOptions = { ...golden.options, rng: 'torch-cpu', output: 'latents' }
    using pipe = await load(golden.model, golden.embeddings)
    const { latents } = await pipe.generate(options)
    expect(latents?.shape).toEqual(want.latents?.shape)
    expect(relativeL2(numbers(latents), numbers(want.latents))).toBeLessThan(manifest.tolerance)

    using plain = await load(golden.model)
    const without = numbers((await plain.generate(options)).latents)
    if (golden.case === 'not in the prompt') expect(without).toEqual(numbers(latents))
    else expect(relativeL2(without, numbers(want.latents))).toBeGreaterThan(10 * manifest.tolerance)
  })
})
