/** Single files of every family: each tensor lands where diffusers puts it, and the config is the published one. */

import { readFileSync } from 'node:fs'
import path from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { openModel, openModelComponent, type TensorEntry } from '../../../src/weights'
import { scratch } from '../../unit/weights/scratch'

/** A stored tensor as it is, or `[stored, shape, first row, transposed]`. */
type Place = string | [string, number[], number, boolean]

interface Golden {
  readonly stored: Readonly<Record<string, number[]>>
  readonly components: Readonly<
    Record<string, { class: string; config: Record<string, unknown>; tensors: Record<string, Place> }>
  >
}

const disk = scratch()

function golden(name: string): Golden {
  return JSON.parse(gunzipSync(readFileSync(path.join(__dirname, `${name}.json.gz`))).toString())
}

/** Entries as if the tensors stood in a file one after another, in f16. */
function entriesOf(file: string, stored: Golden['stored']): TensorEntry[] {
  let at = 0
  return Object.entries(stored).map(([name, shape]) => {
    const begin = at
    at += 2 * shape.reduce((product, size) => product * size, 1)
    return { name, dtype: 'f16', shape, begin, end: at, file }
  })
}

/** Where a golden's place is in such a file. */
function rangeOf(place: Place, byName: ReadonlyMap<string, TensorEntry>) {
  const [stored, shape, row, transposed] = typeof place === 'string' ? [place] : place
  const entry = byName.get(stored)
  if (!entry) throw new Error(`no ${stored}`)
  if (shape === undefined) return { shape: entry.shape, begin: entry.begin, end: entry.end, transposed: false }
  const rowBytes = (2 * shape.reduce((product, size) => product * size, 1)) / (shape[0] ?? 1)
  const begin = entry.begin + (row ?? 0) * rowBytes
  return { shape, begin, end: begin + (shape[0] ?? 0) * rowBytes, transposed: transposed ?? false }
}

/** Fields that hold no more than a default under another name in one of the two. */
function comparable(value: unknown): unknown {
  return Array.isArray(value) && value.every((item) => item === value[0]) ? value[0] : value
}

const FAMILIES: Readonly<Record<string, { family?: string; className?: string; unused: number }>> = {
  sd15: { family: 'sd1', className: 'StableDiffusionPipeline', unused: 6 },
  'sd15-inpainting': { family: 'sd1', className: 'StableDiffusionInpaintPipeline', unused: 1 },
  sd21: { family: 'sd2', className: 'StableDiffusionPipeline', unused: 19 },
  sdxl: { family: 'sdxl', className: 'StableDiffusionXLPipeline', unused: 3 },
  'sdxl-refiner': { family: 'sdxl-refiner', className: 'StableDiffusionXLImg2ImgPipeline', unused: 1 },
  'controlnet-sd15': { family: 'sd1', unused: 0 },
  'controlnet-sd15-bare': { family: 'sd1', unused: 0 },
  'controlnet-sd21': { family: 'sd2', unused: 0 },
  'controlnet-sd21-bare': { family: 'sd2', unused: 0 },
  'controlnet-sdxl': { family: 'sdxl', unused: 0 },
  vae: { unused: 0 },
}

describe.each(Object.entries(FAMILIES))('%s', (name, expected) => {
  const { stored, components } = golden(name)
  const file = disk.write(`${name}/anything.safetensors`, 'whatever: the header is given')
  const readIndex = async () => entriesOf(file, stored)

  it('is recognised by its tensors', async () => {
    const model = await openModel(file, { readIndex })
    expect([...model.components.keys()].sort()).toEqual(Object.keys(components).sort())
    expect(model.family).toBe(expected.family)
    expect(model.className).toBe(expected.className)
    expect(model.unused).toHaveLength(expected.unused)
  })

  it.each(Object.keys(components))('has %s where diffusers has it', async (component) => {
    const want = components[component]
    if (!want) throw new Error(component)
    const byName = new Map(entriesOf(file, stored).map((entry) => [entry.name, entry]))
    const model = await openModel(file, { readIndex })
    const got = await openModelComponent(model, component, { readIndex })
    expect(got.className).toBe(want.class)
    const places = [...got.checkpoint.tensors].map(([name, { shape, begin, end, transposed = false }]) => [
      name,
      { shape, begin, end, transposed },
    ])
    expect(Object.fromEntries(places)).toEqual(
      Object.fromEntries(Object.entries(want.tensors).map(([tensor, place]) => [tensor, rangeOf(place, byName)])),
    )
    for (const [field, value] of Object.entries(got.config ?? {})) {
      if (field === '_class_name' || !(field in want.config)) continue
      // transformers' class without a projection keeps an unused width of one; a ControlNet has no say in upcasting.
      if (['projection_dim', 'force_upcast', 'sample_size'].includes(field) && component !== 'unet') continue
      expect([field, comparable(value)]).toEqual([field, comparable(want.config[field])])
    }
    // Fields that the config leaves out are at diffusers' defaults.
    const silent = ['attention_head_dim', 'cross_attention_dim', 'layers_per_block', 'block_out_channels', 'hidden_act']
    for (const field of silent) expect(field in (got.config ?? {})).toBe(field in want.config)
  })
})
