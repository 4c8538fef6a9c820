/** What the tests of the bindings share: backends, programs, ways to look at failures. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll } from 'vitest'
import { type Device, type DeviceWeights, type Executable, loadExecutable } from '../../../src/bindings'
import { type Program, programRunnable } from '../../../src/compile'
import type { Recipe } from '../../../src/graph/recipe'
import programs from '../../e2e/lifecycle/programs.cjs'

export const BACKENDS = ['reference', 'cpu'] as const

export const { affine, chain, emptyCheckpoint, lookup, noise } = programs

/** Loads a program made by hand. */
export function loadProgram(device: Device, program: Program, weights: DeviceWeights): Promise<Executable> {
  return loadExecutable(device, programRunnable(program), weights)
}

/** A program that gives back its parameter: what a recipe evaluates to, seen from outside. */
export function giveBack(recipe: Recipe): Program {
  const { shape } = recipe
  const pitch = shape.at(-1) ?? 1
  return {
    name: 'giveBack',
    buffers: [
      { name: 'p', dtype: 'f32', shape, pitch, storage: { kind: 'param', index: 0 } },
      { name: 'y', dtype: 'f32', shape, pitch, storage: { kind: 'output', index: 0 } },
    ],
    params: [{ recipe, packing: 'plain', dtype: 'f32', shape }],
    inputs: [],
    outputs: [{ name: 'y', buffer: 1 }],
    steps: [{ kernel: 'elementwise', operands: [0], output: 1, attrs: [], epilogue: [], at: 'p' }],
    arenaBytes: 0,
  }
}

/** What a call throws. */
export function failure(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  throw new Error('expected a failure')
}

/** What a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<Error & { code?: string }> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('expected a rejection')
}

/** A folder for the test file's files, removed after it. */
export function scratchFolder(): {
  write(name: string, content: Uint8Array | string): string
  path(name: string): string
} {
  const folder = mkdtempSync(path.join(tmpdir(), 'irodori-bindings-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return {
    path: (name) => path.join(folder, name),
    write(name, content) {
      writeFileSync(path.join(folder, name), content)
      return path.join(folder, name)
    },
  }
}
