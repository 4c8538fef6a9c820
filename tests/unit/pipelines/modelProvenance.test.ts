/** Where a model comes from: read from its folder, frozen, and refused where it says what it cannot. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readSettings } from '../../../src/pipelines/defaults'
import { inspectModel } from '../../../src/pipelines/inspect'
import { readModelProvenance } from '../../../src/pipelines/modelProvenance'
import { Pipeline } from '../../../src/pipelines/pipeline'
import { jsonFields } from '../../../src/weights/jsonFields'
import { closedFormModel } from './closedFormModel'

const written = {
  sources: [
    { kind: 'pictures', name: 'own photographs', licence: 'CC0-1.0', count: 800 },
    { kind: 'teacher', licence: 'MIT' },
  ],
  training: {
    hours: 1.5,
    processor: 'two cores',
    dollars: 0.15,
    dollarsPerHour: 0.1,
    steps: 9,
    pictures: 90,
    flops: 1e9,
  },
  scores: [{ measure: 'top-1', value: 0.95, of: 'labels', language: 'ja', steps: 8, count: 1339 }],
  limits: { en: 'Single things.', ja: '一つだけ。' },
  cards: { en: 'MODEL_CARD.md', ja: 'cards/ja.md' },
}
const read = (value: unknown, folder = '/models/mine') =>
  readModelProvenance(jsonFields(value, 'irodori.json: provenance'), folder)

describe('readModelProvenance', () => {
  it('gives what is written, with the paths of the cards', () => {
    const cards = { en: path.join('/models/mine', 'MODEL_CARD.md'), ja: path.join('/models/mine', 'cards', 'ja.md') }
    expect(read(written)).toEqual({ ...written, cards })
    expect(read({ sources: [] })).toEqual({ sources: [], scores: [], limits: {}, cards: {} })
  })

  it('cannot be changed', () => {
    const all: unknown[] = [read(written)]
    for (const value of all) {
      if (typeof value !== 'object' || value === null) continue
      expect(Object.isFrozen(value)).toBe(true)
      all.push(...Object.values(value))
    }
    expect(all.length).toBeGreaterThan(20)
  })

  it.each<[string, object, RegExp]>([
    ['no sources', {}, /provenance: sources: expected a list of objects, got nothing/],
    ['a source without licence', { sources: [{ kind: 'words' }] }, /sources\[0\]: licence: expected a string/],
    ['another kind', { sources: [{ kind: 'sounds', licence: 'MIT' }] }, /kind: expected "pictures" or "words" or/],
    ['half a picture', { sources: [{ kind: 'pictures', licence: 'MIT', count: 0.5 }] }, /count: expected an integer/],
    ['training without its time', { ...written, training: {} }, /training: hours: expected a finite number/],
    ['negative money', { ...written, training: { hours: 1, dollars: -1 } }, /dollars: expected .* at least 0, got -1/],
    ['a score of words', { ...written, scores: [{ measure: 'top-1', value: '95 %' }] }, /scores\[0\]: value/],
    ['another language', { ...written, limits: { fr: 'Une chose.' } }, /limits: expected only known fields, got "fr"/],
    ['a card elsewhere', { ...written, cards: { en: '../card.md' } }, /cards: en: expected a file of the folder/],
    ['an absolute card', { ...written, cards: { en: '/etc/card.md' } }, /cards: en: expected a file of the folder/],
    ['a further field', { ...written, owner: 'me' }, /expected only known fields, got "owner"/],
  ])('refuses %s', (_, value, message) => {
    expect(() => read(value)).toThrow(message)
    expect(() => read(value)).toThrow(expect.objectContaining({ name: 'EngineError', code: 'invalid-config' }))
  })
})

describe('a folder', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'irodori-provenance-'))
    await writeFile(path.join(folder, 'model_index.json'), '{ "_class_name": "PixArtAlphaPipeline" }')
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const facts = { native: 64, multiple: undefined, textLength: 16, steps: 20, guidance: 4 }
  const write = (settings: unknown) => writeFile(path.join(folder, 'irodori.json'), JSON.stringify(settings))

  it('says it to pipelines and to inspect, or not at all', async () => {
    expect((await inspectModel(folder, undefined)).provenance).toBeUndefined()
    await write({ steps: 3 })
    expect((await readSettings(folder, facts)).provenance).toBeUndefined()
    expect(await inspectModel(folder, undefined)).not.toHaveProperty('provenance')
    await write({ steps: 3, provenance: written })
    const { provenance } = await readSettings(folder, facts)
    expect(provenance).toEqual(read(written, folder))
    expect((await inspectModel(folder, undefined)).provenance).toEqual(provenance)
    const { model } = await closedFormModel()
    using pipe = new Pipeline({ ...model, provenance })
    expect(pipe.provenance).toBe(provenance)
    using plain = new Pipeline(model)
    expect(plain.provenance).toBeUndefined()
  })

  it('is refused by both where it is damaged', async () => {
    await write({ provenance: { sources: 'many' } })
    const message = /irodori\.json: provenance: sources: expected a list of objects, got "many"$/
    await expect(readSettings(folder, facts)).rejects.toThrow(message)
    await expect(inspectModel(folder, undefined)).rejects.toThrow(message)
  })
})

describe('the bundled model', () => {
  const emoji = path.resolve(__dirname, '..', '..', '..', 'models', 'emoji')

  it('says of itself what its cards say', async () => {
    const { provenance } = await inspectModel(emoji, undefined)
    if (provenance === undefined) throw new Error('none')
    const words = (text: string) => text.replace(/\s+/g, language === 'ja' ? '' : ' ')
    let language: string | undefined
    for (const [of, file] of Object.entries(provenance.cards)) {
      language = of
      const card = words(await readFile(file, 'utf8'))
      for (const { measure, value } of provenance.scores) {
        if (measure.startsWith('top-')) expect(card).toContain(words(`${(value * 100).toFixed(1)} %`))
      }
      for (const { count } of provenance.sources) {
        if (count !== undefined) expect(card).toContain(count.toLocaleString('en'))
      }
      const limits = Object.entries(provenance.limits).find(([own]) => own === of)?.[1]
      if (limits !== undefined) expect(card).toContain(words(limits))
    }
    expect(Object.keys(provenance.cards).length).toBeGreaterThan(0)
    expect(provenance.scores.length).toBeGreaterThan(0)
    expect(provenance.training?.hours).toBeGreaterThan(0)
  })
})
