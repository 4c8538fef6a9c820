import path from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  assertComplete,
  encodeSafetensors,
  merge,
  openCheckpoint,
  readTensors,
  rename,
  report,
  scoped,
  writeSafetensors,
} from '../../../src/weights'
import { readHeader } from '../../golden/cases'
import { failure, scratch } from './scratch'

const disk = scratch()
const f32 = (...data: number[]) => ({ dtype: 'f32', shape: [data.length], data: Float32Array.from(data) }) as const

describe('safetensors', () => {
  it('comes back as it was written, in every dtype, aligned', async () => {
    const tensors = {
      odd: { dtype: 'u8', shape: [3], data: Uint8Array.of(1, 2, 3) },
      half: { dtype: 'f16', shape: [1, 2], data: Uint16Array.of(0x3c00, 0xc000) },
      brain: { dtype: 'bf16', shape: [1], data: Uint16Array.of(0x3f80) },
      real: { dtype: 'f32', shape: [2], data: Float32Array.of(1.5, -0) },
      whole: { dtype: 'i32', shape: [], data: Int32Array.of(-7) },
      long: { dtype: 'i64', shape: [2], data: BigInt64Array.of(-1n, 2n ** 40n) },
      none: { dtype: 'f32', shape: [0, 4], data: new Float32Array(0) },
    } as const
    const file = path.join(disk.folder, 'all.safetensors')
    await writeSafetensors(file, tensors, { made: 'here' })
    const entries = await readHeader(file)
    const alignment: Record<string, number> = { f32: 4, f16: 2, bf16: 2, i32: 4, i64: 8, u8: 1 }
    for (const { begin, dtype } of entries) expect(begin % (alignment[dtype] ?? Number.NaN)).toBe(0)
    expect(await readTensors(entries)).toEqual(tensors)
    expect(new TextDecoder().decode(encodeSafetensors(tensors, { made: 'here' }))).toContain(
      '"__metadata__":{"made":"here"}',
    )
  })

  it('writes part of a larger array only', async () => {
    const file = path.join(disk.folder, 'part.safetensors')
    await writeSafetensors(file, { x: { dtype: 'f32', shape: [1], data: Float32Array.of(1, 2, 3).subarray(1, 2) } })
    expect((await readTensors(await readHeader(file))).x?.data).toEqual(Float32Array.of(2))
  })

  it('refuses data of another size than the shape says, and leaves no file', async () => {
    const file = path.join(disk.folder, 'wrong.safetensors')
    expect(
      await failure(() => writeSafetensors(file, { x: { dtype: 'f32', shape: [3], data: Float32Array.of(1) } })),
    ).toMatchObject({
      code: 'shape-mismatch',
    })
    expect(await failure(() => openCheckpoint([file], { readIndex: readHeader }))).toMatchObject({
      code: 'missing-file',
    })
  })

  it('tells a file that ends early', async () => {
    const bytes = encodeSafetensors({ x: f32(1, 2, 3, 4) })
    const file = disk.write('short.safetensors', bytes.subarray(0, bytes.length - 4))
    expect(await failure(async () => readTensors(await readHeader(file)))).toMatchObject({ code: 'io' })
  })

  it('says where it cannot write', async () => {
    expect(
      await failure(() => writeSafetensors(path.join(disk.folder, 'no/such/folder.safetensors'), {})),
    ).toMatchObject({ code: 'io' })
  })
})

describe('checkpoint', () => {
  it('joins files, renames and drops', async () => {
    const a = disk.write('a.safetensors', encodeSafetensors({ 'old.weight': f32(1), position_ids: f32(0) }))
    const b = disk.write('b.safetensors', encodeSafetensors({ bias: f32(2) }))
    const table = [{ from: /^position_ids$/ }, { from: /^old\./, to: 'new.' }]
    const checkpoint = await openCheckpoint([a, b], { readIndex: readHeader, rename: (name) => rename(name, table) })
    expect([...checkpoint.tensors.keys()]).toEqual(['new.weight', 'bias'])
    expect((await readTensors(checkpoint.tensors.values()))['new.weight']?.data).toEqual(Float32Array.of(1))
  })

  it('refuses one name in two places', async () => {
    const a = disk.write('twice/a.safetensors', encodeSafetensors({ x: f32(1) }))
    const b = disk.write('twice/b.safetensors', encodeSafetensors({ x: f32(1) }))
    const error = await failure(() => openCheckpoint([a, b], { readIndex: readHeader }))
    expect(error).toMatchObject({ code: 'invalid-safetensors', context: { tensor: 'x' } })
    expect(error.message).toContain(a)
    expect(error.message).toContain(b)
  })

  it('refuses a shard without what the index promises', async () => {
    const a = disk.write('shard/a.safetensors', encodeSafetensors({ x: f32(1) }))
    expect(
      await failure(() => openCheckpoint([a], { readIndex: readHeader, weightMap: new Map([['y', a]]) })),
    ).toMatchObject({
      code: 'missing-tensor',
      context: { tensor: 'y' },
    })
  })

  it('has another identity when a file was rewritten, the same otherwise', async () => {
    const file = disk.write('same.safetensors', encodeSafetensors({ x: f32(1) }))
    const first = await openCheckpoint([file], { readIndex: readHeader })
    expect((await openCheckpoint([file], { readIndex: readHeader })).identity).toBe(first.identity)
    await writeSafetensors(file, { x: f32(2) })
    expect((await openCheckpoint([file], { readIndex: readHeader })).identity).not.toBe(first.identity)
  })

  it('scopes and merges', async () => {
    const file = disk.write('scope.safetensors', encodeSafetensors({ x: f32(1) }))
    const checkpoint = await openCheckpoint([file], { readIndex: readHeader })
    const both = merge([scoped(checkpoint, 'a'), scoped(checkpoint, 'b')])
    expect([...both.tensors.keys()]).toEqual(['a/x', 'b/x'])
    expect(scoped(checkpoint, 'a').identity).not.toBe(scoped(checkpoint, 'b').identity)
    expect(await failure(() => merge([checkpoint, checkpoint]))).toMatchObject({ code: 'invalid-argument' })
  })

  it('reports missing, unused and mismatched names', async () => {
    const file = disk.write('report.safetensors', encodeSafetensors({ extra: f32(1), wrong: f32(1, 2), right: f32(1) }))
    const checkpoint = await openCheckpoint([file], { readIndex: readHeader })
    const needed = [
      { name: 'right', shape: [1] },
      { name: 'wrong', shape: [1, 2] },
      { name: 'absent', shape: [1] },
    ]
    const found = report(checkpoint, needed)
    expect(found).toEqual({
      missing: ['absent'],
      unused: ['extra'],
      mismatched: [{ name: 'wrong', expected: [1, 2], got: [2] }],
    })
    expect(await failure(() => assertComplete(found, 'unet'))).toMatchObject({
      code: 'missing-tensor',
      context: { missing: ['absent'] },
    })
    expect(await failure(() => assertComplete({ ...found, missing: [] }, 'unet'))).toMatchObject({
      code: 'shape-mismatch',
    })
    assertComplete({ missing: [], unused: ['extra'], mismatched: [] }, 'unet')
  })
})

describe('rename', () => {
  const table = [
    { from: /^drop\./ },
    { from: /^(\d+)\./, to: (index: string) => `layers.${Number(index) - 1}.` },
    { from: /^text\.(a|b)\b/, to: '$1' },
  ]
  it.each([
    ['drop.x', undefined],
    ['12.weight', 'layers.11.weight'],
    ['text.b.bias', 'b.bias'],
    ['other', 'other'],
  ])('%s becomes %s', (name, expected) => {
    expect(rename(name, table)).toBe(expected)
  })
})
