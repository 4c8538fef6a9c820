/** LoRA files in every naming give the weights that diffusers fuses. */

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Device, DeviceWeights, openDevice, readSafetensorsIndex } from '../../../src/bindings'
import { tensorRecipe } from '../../../src/graph/recipe'
import {
  type Checkpoint,
  type Lora,
  matchLoras,
  openLora,
  patchCheckpoint,
  readTensors,
  type TensorEntry,
} from '../../../src/weights'
import { giveBack, loadProgram } from '../../unit/bindings/fixtures'
import { readHeader, relativeL2 } from '../cases'

const folder = path.join(__dirname, 'lora')
const manifest = JSON.parse(readFileSync(path.join(folder, 'MANIFEST.json'), 'utf8')) as {
  readonly tolerance: number
  readonly sha256: Readonly<Record<string, string>>
  readonly loras: readonly { case: string; model: 'sd' | 'xl'; scales: number[]; changed: number }[]
}
const structure = JSON.parse(readFileSync(path.join(folder, 'structure.json'), 'utf8')) as Record<string, number[]>
const options = { readIndex: readSafetensorsIndex }

/** The components of a model: all of their names and shapes, and the bytes of the layers that some LoRA adapts. */
async function components(model: 'sd' | 'xl'): Promise<Map<string, Checkpoint>> {
  const stored = new Map((await readHeader(path.join(folder, 'base.safetensors'))).map((entry) => [entry.name, entry]))
  const found = new Map<string, Map<string, TensorEntry>>()
  for (const [full, shape] of Object.entries(structure)) {
    const [, of, component, name] = /^(\w+)\/(\w+)\/(.+)$/.exec(full) ?? []
    if (of !== model || component === undefined || name === undefined) continue
    const tensors = found.get(component) ?? new Map<string, TensorEntry>()
    found.set(component, tensors)
    const entry = stored.get(full) ?? { dtype: 'f32' as const, shape, file: 'nowhere', begin: 0, end: 0 }
    tensors.set(name, { ...entry, name })
  }
  return new Map([...found].map(([name, tensors]) => [name, { tensors, identity: `${model} ${name}` }]))
}

async function open(name: string, scales: readonly number[]): Promise<{ lora: Lora; scale: number }[]> {
  const files = scales.map((_, index) => path.join(folder, `${name}.${index}.safetensors`))
  const loras = await Promise.all(files.map((file) => openLora(file, options)))
  return loras.map((lora, index) => ({ lora, scale: scales[index] ?? 1 }))
}

let device: Device
beforeAll(() => {
  device = openDevice({ device: 'cpu' })
})
afterAll(() => device?.dispose())

it('has the files of its script', () => {
  for (const [file, hash] of Object.entries(manifest.sha256)) {
    expect([
      file,
      createHash('sha256')
        .update(readFileSync(path.join(folder, file)))
        .digest('hex'),
    ]).toEqual([file, hash])
  }
})

describe.each(manifest.loras)('$case', ({ case: name, model, scales, changed }) => {
  it('touches the layers that diffusers changes', async () => {
    const { patches, unused } = matchLoras(await open(name, scales), await components(model))
    const fused = (await readHeader(path.join(folder, `${name}.fused.safetensors`))).map((entry) => entry.name)
    const touched = [...patches].flatMap(([component, { terms }]) =>
      [...terms.keys()].map((at) => `${component}/${at}`),
    )
    expect(touched.sort()).toEqual(fused.sort())
    expect(touched).toHaveLength(changed)
    expect(unused).toEqual([])
  })

  it('gives the weights that diffusers fuses', async () => {
    const models = await components(model)
    const { patches } = matchLoras(await open(name, scales), models)
    const fused = await readTensors(await readHeader(path.join(folder, `${name}.fused.safetensors`)))
    const before = await readTensors(await readHeader(path.join(folder, 'base.safetensors')))
    for (const [component, patch] of patches) {
      const checkpoint = models.get(component)
      if (!checkpoint) throw new Error(component)
      using weights = new DeviceWeights(device, patchCheckpoint(checkpoint, patch))
      for (const at of patch.terms.keys()) {
        const want = fused[`${component}/${at}`]
        if (!(want?.data instanceof Float32Array)) throw new Error(at)
        using executable = await loadProgram(device, giveBack(tensorRecipe(at, want.shape)), weights)
        const y = new Float32Array(want.data.length)
        await executable.run({ rows: 1, inputs: {}, outputs: { y: [y] } })
        expect(relativeL2(y, want.data)).toBeLessThan(manifest.tolerance)
        const plain = before[`${model}/${component}/${at}`]
        expect(relativeL2((plain?.data ?? []) as Float32Array, want.data)).toBeGreaterThan(100 * manifest.tolerance)
      }
    }
  })
})

it('refuses a LoRA of another family, naming layers and shapes', async () => {
  const xl = await open('kohya-xl', [1])
  const sd = await open('kohya', [1])
  const models = { sd: await components('sd'), xl: await components('xl') }
  expect(() => matchLoras(xl, models.sd)).toThrow(/kohya-xl\.0\.safetensors: expected a LoRA for this model/)
  expect(() => matchLoras(sd, models.xl)).toThrow(
    expect.objectContaining({
      code: 'lora-mismatch',
      context: expect.objectContaining({
        unknown: expect.arrayContaining([expect.stringMatching(/^lora_unet_down_blocks_0_attentions_1/)]),
      }),
    }),
  )
})
