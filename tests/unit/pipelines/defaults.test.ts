/** `irodori.json`: every field may be left out, none may be wrong or unknown. */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readSettings } from '../../../src/pipelines/defaults'

const facts = { native: 64, multiple: undefined, textLength: 16, steps: 20, guidance: 4.5 }
let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'irodori-defaults-'))
  await mkdir(path.join(folder, 'larger'))
  await writeFile(path.join(folder, 'larger', 'config.json'), '{ "upscale": 2 }')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const read = async (fields: object) => {
  await writeFile(path.join(folder, 'irodori.json'), JSON.stringify(fields))
  return readSettings(folder, facts)
}

describe('readSettings', () => {
  it('fills in what is left out, without an upscaler the native size', async () => {
    expect(await read({})).toMatchObject({
      defaults: { steps: 20, guidance: 4.5, size: 64 },
      textLength: 16,
      upscale: 1,
    })
    await rm(path.join(folder, 'irodori.json'))
    expect(await readSettings(folder, facts)).toEqual(await read({}))
  })

  it('takes what is there', async () => {
    const given = {
      steps: 8,
      guidance: 2.5,
      width: 64,
      height: 64,
      maxSequenceLength: 8,
      upscaler: 'larger',
      labels: 'l.json',
    }
    expect(await read(given)).toEqual({
      defaults: { steps: 8, guidance: 2.5, size: 128 },
      textLength: 8,
      upscale: 2,
      upscaler: 'larger',
      labelsFile: path.join(folder, 'l.json'),
    })
  })

  it('takes any size that a model of many sizes draws', async () => {
    await writeFile(path.join(folder, 'irodori.json'), '{ "width": 96 }')
    const many = { ...facts, multiple: 8 }
    expect((await readSettings(folder, many)).defaults.size).toBe(96)
    await writeFile(path.join(folder, 'irodori.json'), '{ "width": 100 }')
    await expect(readSettings(folder, many)).rejects.toThrow(/width: expected a multiple of 8, got 100/)
  })

  it.each([
    [{ steps: 0 }, /steps: expected an integer of at least 1/],
    [{ guidance: '2' }, /guidance/],
    [{ width: 128 }, /width: expected 64, the size of the model, got 128/],
    [{ height: 32 }, /height: expected the width, 64, got 32/],
    [{ maxSequenceLength: 17 }, /maxSequenceLength/],
    [{ sampler: 'euler' }, /sampler/],
  ])('refuses %j', async (fields, message) => {
    await expect(read(fields)).rejects.toThrow(message)
    await expect(read(fields)).rejects.toMatchObject({ code: 'invalid-config' })
  })
})
