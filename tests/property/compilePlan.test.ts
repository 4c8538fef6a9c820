/** The planner on random programs: live buffers never share bytes, for 1 to 7 rows, and the verifier agrees. */

import { describe, expect, test } from 'vitest'
import { ARENA_ALIGNMENT, overwritten, plan, readsOf, rowBytes } from '../../src/compile/passes/plan'
import type { Scheduled } from '../../src/compile/passes/schedule'
import type { BufferSpec, Program, Step } from '../../src/compile/program'
import { verifyProgram } from '../../src/compile/verify'
import type { DType } from '../../src/tensor/dtype'
import { random } from '../oracle/random'

/** A random chain of steps: each reads earlier results of its size, element-wise ones sometimes a second. */
function randomSteps(seed: number): Scheduled {
  const source = random(seed)
  const buffers: BufferSpec[] = []
  const add = (name: string, shape: number[], dtype: DType, storage: BufferSpec['storage']): number => {
    buffers.push({ name, dtype, shape, pitch: shape.at(-1) ?? 1, storage })
    return buffers.length - 1
  }
  const input = add('x', [1 + source.below(40), 1 + source.below(40)], 'f32', { kind: 'input', index: 0 })
  const steps: Step[] = []
  const made = [input]
  for (let i = 0; i < 4 + source.below(40); i++) {
    const x = source.pick(made.slice(-(1 + source.below(made.length))))
    const shape = [...(buffers[x]?.shape ?? [])]
    const same = made.filter((other) => buffers[other]?.shape.join() === shape.join() && other !== x)
    const other = same.length > 0 && source.below(2) === 0 ? source.pick(same) : undefined
    const resized = source.below(4) === 0
    const output = add(
      `n${i}`,
      resized ? [1 + source.below(40), 1 + source.below(40)] : shape,
      source.below(3) === 0 ? 'bf16' : 'f32',
      { kind: 'arena', offset: -1 },
    )
    steps.push(
      resized
        ? {
            kernel: 'strided_copy',
            operands: [x],
            output,
            attrs: [0, 2, ...(buffers[output]?.shape ?? []), 0, 0],
            epilogue: [],
            at: `n${i}`,
          }
        : {
            kernel: 'elementwise',
            operands: [x],
            output,
            attrs: [],
            epilogue: other === undefined ? [] : [{ op: 'add', operand: other }],
            at: `n${i}`,
          },
    )
    made.push(output)
  }
  const result = made.at(-1) ?? input
  const out = add('y', [...(buffers[result]?.shape ?? [])], 'f32', { kind: 'output', index: 0 })
  steps.push({ kernel: 'elementwise', operands: [result], output: out, attrs: [], epilogue: [], at: 'y' })
  return {
    name: `random ${seed}`,
    buffers,
    params: [],
    inputs: [{ name: 'x', buffer: input }],
    outputs: [{ name: 'y', buffer: out }],
    steps,
  }
}

/** Runs the program on tags instead of numbers: every byte remembers which write it holds. */
function expectIntact(program: Program, rows: number): void {
  const arena = new Map<number, string>()
  const bytesOf = (buffer: BufferSpec, row: number): number[] => {
    if (buffer.storage.kind !== 'arena') return []
    const start = rows * buffer.storage.offset + row * rowBytes(buffer)
    return Array.from({ length: rowBytes(buffer) / 2 }, (_, i) => start + 2 * i)
  }
  program.steps.forEach((step) => {
    for (let row = 0; row < rows; row++) {
      for (const operand of readsOf(step)) {
        const buffer = program.buffers[operand]
        if (!buffer) throw new Error('buffer')
        for (const byte of bytesOf(buffer, row)) {
          if (arena.get(byte) !== `${operand}/${row}`)
            throw new Error(
              `${step.at} row ${row} of ${rows} reads b${operand} at ${byte}, which holds ${arena.get(byte)}`,
            )
        }
      }
      const output = program.buffers[step.output]
      if (!output) throw new Error('buffer')
      for (const byte of bytesOf(output, row)) {
        if (byte >= rows * program.arenaBytes) throw new Error(`${step.at} writes beyond the arena`)
        arena.set(byte, `${step.output}/${row}`)
      }
    }
  })
}

const SEEDS = Array.from({ length: 40 }, (_, seed) => seed)

describe('plan', () => {
  test.each(SEEDS)('live buffers keep their bytes, seed %i', (seed) => {
    for (const inPlace of [false, true]) {
      const program = plan(randomSteps(seed), { inPlace })
      expect(program.arenaBytes % ARENA_ALIGNMENT).toBe(0)
      verifyProgram(program)
      for (let rows = 1; rows <= 7; rows++) expectIntact(program, rows)
    }
  })

  test('it needs no more than the buffers that are alive together, and a little', () => {
    let used = 0
    let lower = 0
    for (const seed of SEEDS) {
      const draft = randomSteps(seed)
      const program = plan(draft, { inPlace: false })
      used += program.arenaBytes
      lower += liveBytes(program)
    }
    expect(used).toBeGreaterThanOrEqual(lower)
    expect(used / lower).toBeLessThan(1.25)
  })

  test('in place never needs more', () => {
    let saved = 0
    for (const seed of SEEDS) {
      const apart = plan(randomSteps(seed), { inPlace: false }).arenaBytes
      const inPlace = plan(randomSteps(seed), { inPlace: true }).arenaBytes
      saved += apart - inPlace
    }
    expect(saved).toBeGreaterThan(0)
  })
})

/** The most bytes alive at one step: no plan without writing in place can do with less. */
function liveBytes(program: Program): number {
  const last = new Map<number, number>()
  program.steps.forEach((step, index) => {
    for (const buffer of [...readsOf(step), step.output]) last.set(buffer, index)
  })
  let most = 0
  const alive = new Set<number>()
  program.steps.forEach((step, index) => {
    if (program.buffers[step.output]?.storage.kind === 'arena') alive.add(step.output)
    most = Math.max(
      most,
      [...alive].reduce((sum, buffer) => sum + rowBytes(program.buffers[buffer]), 0),
    )
    for (const buffer of alive) if ((last.get(buffer) ?? 0) <= index) alive.delete(buffer)
  })
  return most
}

test('a buffer is written over only where it dies', () => {
  const { buffers, steps } = randomSteps(3)
  const last = new Map<number, number>()
  steps.forEach((step, index) => {
    for (const operand of readsOf(step)) last.set(operand, index)
  })
  steps.forEach((step, index) => {
    const over = overwritten(buffers, step, index, last)
    if (over !== undefined) expect(last.get(over)).toBe(index)
  })
})
