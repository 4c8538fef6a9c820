/** Safetensors files through the public API: written, read back, opened as a checkpoint. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { readSafetensors, readSafetensorsIndex, type Tensor } from '../../../src'
import { openCheckpoint, writeSafetensors } from '../../../src/weights'

const scratch = mkdtempSync(path.join(tmpdir(), 'irodori-safetensors-'))
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const file = path.join(scratch, 'tensors.safetensors')
const tensors: Record<string, Tensor> = {
  weight: { dtype: 'f32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
  ids: { dtype: 'i32', shape: [3], data: Int32Array.of(5, 6, 7) },
}

it('reads what was written', async () => {
  await writeSafetensors(file, tensors)
  expect(await readSafetensors(file)).toEqual(tensors)
  const checkpoint = await openCheckpoint([file], { readIndex: readSafetensorsIndex })
  expect([...checkpoint.tensors.keys()].sort()).toEqual(['ids', 'weight'])
})

it.each<[string, () => Promise<unknown>, string]>([
  ['no file', () => readSafetensors(path.join(scratch, 'none.safetensors')), 'missing-file'],
  ['no name', () => readSafetensors(undefined as unknown as string), 'invalid-argument'],
  ['a misspelt option', () => readSafetensors(file, { singal: 1 } as object), 'unknown-option'],
  ['a signal that has fired', () => readSafetensors(file, { signal: AbortSignal.abort() }), 'ABORT_ERR'],
  [
    'something else',
    async () => {
      const text = path.join(scratch, 'text.safetensors')
      writeFileSync(text, 'hello world')
      await readSafetensors(text)
    },
    'invalid-safetensors',
  ],
])('%s is refused', async (_, work, code) => {
  await expect(work()).rejects.toMatchObject({ code })
})
