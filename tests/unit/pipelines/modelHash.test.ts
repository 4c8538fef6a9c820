/** The hash of a model depends on names, sizes and contents, not on where or when the files were written. */

import { cp, mkdir, mkdtemp, open, rm, truncate, utimes, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { modelHash } from '../../../src/pipelines/modelHash'

let root = ''
beforeAll(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'irodori-hash-'))
  await mkdir(path.join(root, 'a', 'unet'), { recursive: true })
  await writeFile(path.join(root, 'a', 'config.json'), '{}')
  await writeFile(path.join(root, 'a', 'unet', 'model.safetensors'), 'weights')
})
afterAll(() => rm(root, { recursive: true, force: true }))

const files = (folder: string) => ['config.json', 'unet/model.safetensors'].map((file) => path.join(root, folder, file))
const hash = (folder: string) => modelHash(path.join(root, folder), files(folder))

describe('modelHash', () => {
  it('is the same for a copy with other times, and in any order', async () => {
    await cp(path.join(root, 'a'), path.join(root, 'b'), { recursive: true })
    await utimes(path.join(root, 'b', 'config.json'), 1, 1)
    const want = await hash('a')
    expect(want).toMatch(/^[0-9a-f]{16}$/)
    expect(await hash('b')).toBe(want)
    expect(await modelHash(path.join(root, 'a'), files('a').reverse())).toBe(want)
  })

  it('changes with a byte, a size and a name', async () => {
    const want = await hash('a')
    await cp(path.join(root, 'a'), path.join(root, 'c'), { recursive: true })
    const [, weights = ''] = files('c')
    await writeFile(weights, 'weightz')
    const changed = await hash('c')
    await writeFile(weights, 'weights!')
    const longer = await hash('c')
    const renamed = await modelHash(path.join(root, 'a', 'unet'), files('a'))
    expect(new Set([want, changed, longer, renamed]).size).toBe(4)
  })

  it('changes with a setting', async () => {
    const of = (settings?: object) => modelHash(path.join(root, 'a'), files('a'), { settings })
    const hashes = await Promise.all([of(), of({}), of({ textLength: 16 }), of({ textLength: 77 })])
    expect(new Set(hashes).size).toBe(3)
    expect(hashes[0]).toBe(hashes[1])
  })

  it('samples large files, their last bytes included', async () => {
    const [config = '', weights = ''] = files('a')
    const large = path.join(root, 'a', 'large.bin')
    await writeFile(large, '')
    await truncate(large, 200e6)
    const before = await modelHash(root, [config, weights, large])
    const handle = await open(large, 'r+')
    await handle.write('x', 200e6 - 1)
    await handle.close()
    expect(await modelHash(root, [config, weights, large])).not.toBe(before)
  })

  it('names a file that is missing and stops on a signal', async () => {
    await expect(modelHash(root, [path.join(root, 'none')])).rejects.toMatchObject({ code: 'missing-file' })
    const stopped = modelHash(root, files('a'), { signal: AbortSignal.abort() })
    await expect(stopped).rejects.toMatchObject({ code: 'ABORT_ERR' })
  })
})
