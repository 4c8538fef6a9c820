/** What `inspectModel` finds in folders and files of every kind. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cp, readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { inspectModel } from '../../../src/pipelines/inspect'
import { readTensors, writeSafetensors } from '../../../src/weights'
import { goldenCases, readHeader } from '../../golden/cases'

const scratch = mkdtempSync(path.join(tmpdir(), 'irodori-inspect-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const find = (net: string, name: string) => {
  const found = goldenCases().find((golden) => golden.net === net && golden.case === name)
  if (!found) throw new Error(`no golden ${net} ${name}`)
  return found.folder
}
const taesd = find('taesd', 'published')

describe('sizes', () => {
  it.each([
    ["the folder's maxSequenceLength", { maxSequenceLength: 5 }, 5],
    ['the positions of the text encoder', undefined, 13],
  ])('text is as long as %s', async (_, settings, want) => {
    const folder = path.join(scratch, `text${want}`)
    await cp(find('pixart', 'sigma'), folder, { recursive: true })
    const encoder = path.join(find('clip', 'plain'), 'text_encoder')
    await cp(encoder, path.join(folder, 'text_encoder'), { recursive: true })
    if (settings) writeFileSync(path.join(folder, 'irodori.json'), JSON.stringify(settings))
    const { components } = await inspectModel(folder, undefined)
    const [text, transformer] = ['text_encoder', 'transformer'].map((name) =>
      components.find((component) => component.name === name),
    )
    expect(text?.network?.sizes.textLength).toBe(want)
    expect(transformer?.network?.sizes.textLength).toBe(want)
    // What depends on the prompt alone grows with its length.
    const cut = transformer?.network?.parts.find(({ runs }) => runs === 'prompt')?.flops ?? 0
    expect(cut % want).toBe(0)
    expect(cut).toBeGreaterThan(0)
  })
})

describe('halves', () => {
  it('an autoencoder is both of them, in a pipeline and in a folder of its own', async () => {
    const own = path.join(taesd, 'vae')
    const reports = [await inspectModel(taesd, undefined), await inspectModel(own, undefined)]
    for (const { components } of reports) {
      expect(components).toMatchObject([{ name: 'vae', className: 'AutoencoderTiny', network: { unused: [] } }])
      expect(components[0]?.network?.parts).toHaveLength(2)
    }
  })

  it('a file is the one it holds', async () => {
    for (const file of ['raw_decoder.safetensors', 'raw_encoder.safetensors']) {
      const { components } = await inspectModel(path.join(taesd, file), undefined)
      expect(components).toMatchObject([{ name: path.parse(file).name, className: 'AutoencoderTiny' }])
      expect(components[0]?.network?.parts).toHaveLength(1)
      expect(components[0]?.problem).toBeUndefined()
    }
  })

  it('names what neither half reads', async () => {
    const folder = path.join(scratch, 'unused')
    mkdirSync(folder)
    await cp(path.join(taesd, 'vae', 'config.json'), path.join(folder, 'config.json'))
    const [file = ''] = (await readdir(path.join(taesd, 'vae'))).filter((name) => name.endsWith('.safetensors'))
    const tensors = await readTensors(await readHeader(path.join(taesd, 'vae', file)))
    const stray = { dtype: 'f32', shape: [1], data: new Float32Array(1) } as const
    await writeSafetensors(path.join(folder, file), { ...tensors, stray })
    const { components } = await inspectModel(folder, undefined)
    expect(components[0]?.network?.unused).toEqual(['stray'])
  })
})
