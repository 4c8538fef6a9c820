/** What the steps of a Program cost: arithmetic, and the bytes they read and write. */

import { STORAGE_BYTES, type StorageType } from '../tensor/dtype'
import { elements } from '../tensor/shape'
import type { KernelName } from './kernels'
import type { BufferSpec, ParamSpec, Program, Step } from './program'

/** Cost of one step. */
export interface StepCost {
  /** Of matrix products, convolutions and attention as they are defined, for one row; a multiply-add is two. */
  readonly flops: number
  /** Read and written for each row. */
  readonly rowBytes: number
  /** Read once, whatever the number of rows. */
  readonly paramBytes: number
}

/**
 * Kernels that have to read their operands and write their results however well everything is fused. All others, norms,
 * element-wise steps and copies, are passes over memory that a perfect fusion would make part of these.
 */
const PRODUCTS: ReadonlySet<KernelName> = new Set(['matmul', 'conv2d', 'attention'])

export function isProduct(kernel: KernelName): boolean {
  return PRODUCTS.has(kernel)
}

/** The type a parameter is kept in: its own, unless a device keeps it narrower. */
export type StoredTypes = (param: ParamSpec) => StorageType
const asNamed: StoredTypes = ({ dtype }) => dtype

/** What one step of a program costs. Operands count once, caches or not. */
export function stepCost(program: Program, step: Step, stored: StoredTypes = asNamed): StepCost {
  const output = bufferOf(program, step.output)
  let rowBytes = bytesOf(output)
  let paramBytes = 0
  const operands = [...step.operands, ...step.epilogue.map(({ operand }) => operand ?? null)]
  for (const index of operands) {
    if (index === null) continue
    const buffer = bufferOf(program, index)
    const param = paramOf(program, buffer)
    if (!param) rowBytes += bytesOf(buffer)
    // Of a table only the rows that are asked for are read.
    else if (step.kernel === 'embedding') rowBytes += bytesOf(output)
    else paramBytes += elements(buffer.shape) * STORAGE_BYTES[stored(param)]
  }
  return { flops: flopsOf(program, step, output), rowBytes, paramBytes }
}

/** Bytes that a program moves for some rows, and those of its products alone: what a perfect fusion would leave. */
export function programBytes(
  program: Program,
  rows: number,
  stored: StoredTypes = asNamed,
): { readonly moved: number; readonly products: number } {
  let moved = 0
  let products = 0
  for (const step of program.steps) {
    const { rowBytes, paramBytes } = stepCost(program, step, stored)
    const bytes = rows * rowBytes + paramBytes
    moved += bytes
    if (isProduct(step.kernel)) products += bytes
  }
  return { moved, products }
}

function flopsOf(program: Program, { kernel, operands }: Step, output: BufferSpec): number {
  const [first, second] = operands.map((index) => (index === null ? undefined : bufferOf(program, index)))
  if (first === undefined || second === undefined) return 0
  switch (kernel) {
    case 'matmul':
    case 'conv2d':
      // Each output value is a sum over one row of the weight, [N, ...K].
      return (2 * elements(output.shape) * elements(second.shape)) / (second.shape[0] ?? 1)
    case 'attention': {
      // Scores and weighted sums: each a product of q [L, D] with one row per key.
      const keys = second.shape[0] ?? 0
      return 4 * elements(first.shape) * keys
    }
    default:
      return 0
  }
}

function bufferOf({ buffers, name }: Program, index: number): BufferSpec {
  const buffer = buffers[index]
  if (buffer === undefined) throw new RangeError(`${name}: expected a buffer ${index} of ${buffers.length}`)
  return buffer
}

function bytesOf({ shape, dtype }: BufferSpec): number {
  return elements(shape) * STORAGE_BYTES[dtype]
}

/** The parameter that a buffer or view is; none of what steps write. */
export function paramOf(program: Program, { storage }: BufferSpec): ParamSpec | undefined {
  if (storage.kind === 'view') return paramOf(program, bufferOf(program, storage.base))
  return storage.kind === 'param' ? program.params[storage.index] : undefined
}
