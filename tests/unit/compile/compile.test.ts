/** compile(): options, cache, event loop, cancellation; the verifier and the encoder. */

import { describe, expect, test } from 'vitest'
import { compile } from '../../../src/compile/compile'
import { encodeProgram } from '../../../src/compile/encode'
import { printProgram } from '../../../src/compile/print'
import { type BufferSpec, PROGRAM_VERSION, type Program, type Step } from '../../../src/compile/program'
import { verifyProgram } from '../../../src/compile/verify'
import { graph } from '../../../src/graph/graph'
import * as ops from '../../../src/graph/ops'
import { input } from '../../../src/graph/value'
import { ORACLE } from '../../oracle/capabilities'
import { dense, transformer, unet } from '../../oracle/networks'

describe('options', () => {
  test('an unknown option is an error', async () => {
    await expect(compile(transformer(), ORACLE, { fuse: true } as never)).rejects.toMatchObject({
      code: 'unknown-option',
    })
  })
  test('a type the device lacks is an error', async () => {
    await expect(compile(transformer(), { ...ORACLE, dtypes: ['f32'] }, { dtype: 'bf16' })).rejects.toMatchObject({
      code: 'invalid-option',
    })
    await expect(compile(transformer(), ORACLE, { dtype: 'i32' as never })).rejects.toMatchObject({
      code: 'invalid-option',
    })
  })
  test('a kernel the device lacks is an error', async () => {
    const kernels = ORACLE.kernels.filter((name) => name !== 'attention')
    await expect(compile(transformer(), { ...ORACLE, kernels })).rejects.toMatchObject({ code: 'invalid-graph' })
  })
  test('the type defaults to the one the device prefers', async () => {
    expect((await compile(transformer(), { ...ORACLE, preferredDtype: 'bf16' })).dtype).toBe('bf16')
  })
  test('a computed weight is refused with its path', async () => {
    const x = input('x', 'latent', { shape: [4, 4], dtype: 'f32', axes: ['L', 'D'] })
    await expect(compile(graph('g', { y: ops.linear('proj', x, ops.relu('w', x)) }), ORACLE)).rejects.toThrow(
      /matmul\(proj\): expected a parameter as weight, got w/,
    )
  })
})

describe('cache', () => {
  test('equal graphs share programs, others do not', async () => {
    const first = await compile(transformer(), ORACLE)
    expect((await compile(transformer(), ORACLE)).parts).toBe(first.parts)
    expect((await compile(transformer({ size: 6 }), ORACLE)).parts).not.toBe(first.parts)
    expect((await compile(transformer(), ORACLE, { dtype: 'bf16' })).parts).not.toBe(first.parts)
    expect((await compile(transformer(), { ...ORACLE, attentionKeyBlock: 32 })).parts).not.toBe(first.parts)
    expect((await compile(transformer(), ORACLE, { cut: false })).parts).toHaveLength(1)
  })
  test('compiling twice gives the same text', async () => {
    const text = async (keyBlock: number) =>
      (await compile(unet(), { ...ORACLE, attentionKeyBlock: keyBlock })).parts
        .map((part) => printProgram(part.payload.program))
        .join()
    expect(await text(63)).toBe(await text(62)) // no attention in it: the key block changes the cache entry only
  })
})

describe('life', () => {
  test('other work gets turns', async () => {
    let turns = 0
    let done = false
    const count = () => {
      turns += 1
      if (!done) setImmediate(count)
    }
    setImmediate(count)
    await compile(transformer({ blocks: 60 }), ORACLE)
    done = true
    expect(turns).toBeGreaterThan(4)
  })
  test('an abort stops it', async () => {
    const controller = new AbortController()
    const running = compile(transformer({ blocks: 6 }), ORACLE, { signal: controller.signal })
    controller.abort('enough')
    await expect(running).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR', cause: 'enough' })
    await expect(compile(transformer(), ORACLE, { signal: controller.signal })).rejects.toMatchObject({
      name: 'AbortError',
    })
  })
})

describe('the verifier names the invariant', async () => {
  const x = input('x', 'latent', { shape: [4, 6], dtype: 'f32', axes: ['L', 'D'] })
  const both = ops.concat('both', [dense('a', x, 6), ops.relu('b', x)], -1)
  const y = dense('c', ops.softmax('soft', both), 6)
  const good = (await compile(graph('g', { y: ops.add('y', y, ops.tanh('t', y)) }), ORACLE)).parts[0]?.payload
    .program as Program
  const buffer = (test: (spec: BufferSpec) => boolean, change: (spec: BufferSpec) => Partial<BufferSpec>): Program => {
    const index = good.buffers.findIndex(test)
    return { ...good, buffers: good.buffers.map((spec, i) => (i === index ? { ...spec, ...change(spec) } : spec)) }
  }
  const step = (kernel: string, change: (step: Step) => Partial<Step>): Program => {
    const index = good.steps.findIndex((each) => each.kernel === kernel)
    return { ...good, steps: good.steps.map((each, i) => (i === index ? { ...each, ...change(each) } : each)) }
  }
  const arena = (spec: BufferSpec) => spec.storage.kind === 'arena'
  const view = (spec: BufferSpec) => spec.storage.kind === 'view'
  const broken: readonly (readonly [string, Program])[] = [
    ['buffers', buffer(arena, () => ({ shape: [0, 6] }))],
    ['buffers', buffer(arena, () => ({ pitch: 99 }))],
    ['arena', buffer(arena, () => ({ storage: { kind: 'arena', offset: 8 } }))],
    ['arena', { ...good, arenaBytes: 64 }],
    ['views', buffer(view, () => ({ pitch: 1 }))],
    [
      'views',
      buffer(view, (spec) => ({
        storage: { kind: 'view', base: spec.storage.kind === 'view' ? spec.storage.base : 0, byteOffset: 1 << 20 },
      })),
    ],
    ['views', buffer(view, () => ({ dtype: 'bf16' }))],
    ['views', buffer(view, () => ({ storage: { kind: 'view', base: 999, byteOffset: 0 } }))],
    ['ports', { ...good, inputs: [{ name: 'x', buffer: good.outputs[0]?.buffer ?? 0 }] }],
    ['params', { ...good, params: good.params.slice(1) }],
    ['operands', step('matmul', () => ({ operands: [0] }))],
    ['operands', step('matmul', () => ({ operands: [0, 999] }))],
    ['operands', step('softmax', () => ({ output: 0 }))],
    ['attrs', step('matmul', () => ({ attrs: [1] }))],
    ['attrs', step('matmul', () => ({ attrs: [1, 1, Number.NaN] }))],
    ['epilogue', step('softmax', () => ({ epilogue: [{ op: 'add' }] }))],
    ['epilogue', step('softmax', () => ({ epilogue: [{ op: 'relu', operand: 0 }] }))],
    ['epilogue', step('softmax', () => ({ epilogue: [{ op: 'add', operand: 0 }] }))],
    ['written', { ...good, steps: good.steps.slice(1) }],
    ['outputs', { ...good, steps: good.steps.slice(0, -1) }],
    [
      'overlap',
      {
        ...good,
        buffers: good.buffers.map((spec) => (arena(spec) ? { ...spec, storage: { kind: 'arena', offset: 0 } } : spec)),
      },
    ],
  ]
  test('a good program passes', () => expect(() => verifyProgram(good)).not.toThrow())
  test.each(broken)('%s %#', (invariant, program) => {
    expect(() => verifyProgram(program)).toThrow(
      expect.objectContaining({ code: 'invalid-program', context: expect.objectContaining({ invariant }) }),
    )
  })
})

describe('encode', () => {
  test('fields stand as native/core/program.h says', async () => {
    const x = input('é', 'latent', { shape: [2, 3], dtype: 'f32', axes: ['L', 'D'] })
    const program = (await compile(graph('g', { y: ops.scale('s', x, 0.5) }), ORACLE)).parts[0]?.payload
      .program as Program
    const bytes = encodeProgram(program)
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    let at = 0
    /** Where the next `size` bytes begin. */
    const next = (size: number) => {
      at += size
      return at - size
    }
    const u8 = () => view.getUint8(next(1))
    const u32 = () => view.getUint32(next(4), true)
    const i32 = () => view.getInt32(next(4), true)
    const u64 = () => Number(view.getBigUint64(next(8), true))
    const f64 = () => view.getFloat64(next(8), true)
    const text = () => {
      const length = u32()
      return new TextDecoder().decode(bytes.subarray(next(length), at))
    }
    expect(String.fromCharCode(u8(), u8(), u8(), u8())).toBe('IRPG')
    expect([u32(), text(), u64()]).toEqual([PROGRAM_VERSION, 'g/row', 0])
    expect(u32()).toBe(2)
    expect([text(), u8(), u32(), u64(), u64(), u64(), u8(), u64(), u64()]).toEqual(['é', 0, 2, 2, 3, 3, 1, 0, 0])
    expect([text(), u8(), u32(), u64(), u64(), u64(), u8(), u64(), u64()]).toEqual(['y', 0, 2, 2, 3, 3, 2, 0, 0])
    expect(u32()).toBe(0) // params
    expect([u32(), text(), u32()]).toEqual([1, 'é', 0])
    expect([u32(), text(), u32()]).toEqual([1, 'y', 1])
    expect([u32(), u8(), u32(), i32(), u32(), u32()]).toEqual([1, 7, 1, 0, 1, 0]) // one step: elementwise b1 = (b0), no attributes
    expect([u32(), u8(), i32(), f64(), text()]).toEqual([1, 5, -1, 0.5, 's'])
    expect(at).toBe(bytes.length)
  })
  test('every part of a network encodes', async () => {
    for (const { payload } of [
      ...(await compile(transformer(), ORACLE)).parts,
      ...(await compile(unet(), ORACLE, { dtype: 'f16' })).parts,
    ]) {
      expect(encodeProgram(payload.program).length).toBeGreaterThan(100)
    }
  })
})

test('the program of a transformer reads as it should', async () => {
  const { parts } = await compile(transformer({ blocks: 1 }), ORACLE, { dtype: 'bf16' })
  await expect(parts.map((part) => printProgram(part.payload.program)).join('\n')).toMatchFileSnapshot(
    './transformer.program.txt',
  )
})
