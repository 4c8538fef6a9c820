/**
 * Programs in float64 over a simulated arena, any number of rows at once. The arena is a list of two-byte slots; every
 * write spoils all slots it covers, so buffers that share bytes while both are alive give NaN or wrong values.
 */

import type { CompiledGraph } from '../../src/compile/compile'
import { rootOf } from '../../src/compile/passes/plan'
import { columnsOf, vectorsOf } from '../../src/compile/place'
import type { Program, Step } from '../../src/compile/program'
import { STORAGE_BYTES } from '../../src/tensor/dtype'
import { elements } from '../../src/tensor/shape'
import { type Dense, dense, gather } from './dense'
import * as kernels from './kernels'
import { evaluateRecipe } from './recipes'

type Row = Readonly<Record<string, ArrayLike<number>>>

/** Runs all parts, every part once per row, and returns the row part's outputs for each row. */
export function runCompiled({ parts }: CompiledGraph, rows: readonly Row[]): Record<string, Dense>[] {
  let known = rows
  let results: Record<string, Dense>[] = []
  for (const { payload } of parts) {
    results = runProgram(payload.program, known)
    known = known.map((row, index) => ({
      ...row,
      ...Object.fromEntries(Object.entries(results[index] ?? {}).map(([name, value]) => [name, value.data])),
    }))
  }
  return results
}

/** Outputs of each row. */
export function runProgram(program: Program, rows: readonly Row[]): Record<string, Dense>[] {
  const memory = new Memory(program, rows)
  for (const step of program.steps) {
    const results = rows.map((_, row) => finish(step, runKernel(program, step, row, memory), row, memory))
    for (const [row, result] of results.entries()) memory.write(step.output, row, result)
  }
  return rows.map((_, row) =>
    Object.fromEntries(program.outputs.map(({ name, buffer }) => [name, memory.read(buffer, row)])),
  )
}

class Memory {
  readonly #arena: Float64Array
  readonly #ports = new Map<number, Float64Array[]>()
  readonly #params: Float64Array[]

  constructor(
    readonly program: Program,
    readonly rows: readonly Row[],
  ) {
    this.#arena = new Float64Array((rows.length * program.arenaBytes) / 2).fill(Number.NaN)
    this.#params = program.params.map((param) => evaluateRecipe(param.recipe).data)
    for (const { name, buffer } of program.inputs) {
      this.#ports.set(
        buffer,
        rows.map((row) => Float64Array.from(row[name] ?? missing(name))),
      )
    }
    for (const { buffer } of program.outputs) {
      this.#ports.set(
        buffer,
        rows.map(() => new Float64Array(elements(this.spec(buffer).shape)).fill(Number.NaN)),
      )
    }
  }

  spec(buffer: number) {
    return this.program.buffers[buffer] ?? missing(`buffer ${buffer}`)
  }

  read(buffer: number, row: number): Dense {
    const { shape } = this.spec(buffer)
    const out = new Float64Array(elements(shape))
    this.#each(buffer, row, (store, slot, index) => {
      out[index] = store[slot] ?? Number.NaN
    })
    return dense(shape, out)
  }

  write(buffer: number, row: number, values: Dense): void {
    if (values.data.length !== elements(this.spec(buffer).shape))
      throw new RangeError(`writes ${values.data.length} values into [${this.spec(buffer).shape}]`)
    this.#each(buffer, row, (store, slot, index, slots) => {
      store.fill(Number.NaN, slot, slot + slots)
      store[slot] = values.data[index] ?? Number.NaN
    })
  }

  /** Visits the slots of a buffer's elements in order. */
  #each(
    buffer: number,
    row: number,
    visit: (store: Float64Array, slot: number, index: number, slots: number) => void,
  ): void {
    const spec = this.spec(buffer)
    const root = rootOf(this.program.buffers, buffer)
    const base = this.spec(root)
    const bytes = STORAGE_BYTES[spec.dtype]
    const { storage } = base
    const inside = spec.storage.kind === 'view' ? spec.storage.byteOffset : 0
    const arena = storage.kind === 'arena'
    const start = arena ? this.rows.length * storage.offset + row * elements(base.shape) * bytes + inside : inside
    const store = arena
      ? this.#arena
      : storage.kind === 'param'
        ? this.#params[storage.index]
        : this.#ports.get(root)?.[row]
    if (!store) throw new RangeError(`b${buffer} has no memory`)
    const columns = columnsOf(spec.shape)
    for (let vector = 0; vector < vectorsOf(spec.shape); vector++) {
      for (let column = 0; column < columns; column++) {
        const byte = start + (vector * spec.pitch + column) * bytes
        visit(store, arena ? byte / 2 : byte / bytes, vector * columns + column, arena ? bytes / 2 : 1)
      }
    }
  }
}

function missing(what: string): never {
  throw new RangeError(`${what} is missing`)
}

function runKernel(program: Program, step: Step, row: number, memory: Memory): Dense {
  const operand = (index: number): Dense | undefined => {
    const buffer = step.operands[index]
    return buffer === null || buffer === undefined ? undefined : memory.read(buffer, row)
  }
  const x = operand(0) ?? missing('x')
  const second = () => operand(1) ?? missing('second operand')
  const out = program.buffers[step.output] ?? missing('output')
  const attr = (index: number) => step.attrs[index] ?? missing(`attribute ${index}`)
  switch (step.kernel) {
    case 'matmul':
      return kernels.matmul(x, second(), operand(2))
    case 'conv2d':
      return kernels.conv2d(x, second(), operand(2), {
        kernel: [attr(0), attr(1)],
        stride: [attr(2), attr(3)],
        padding: [attr(4), attr(5), attr(6), attr(7)],
      })
    case 'attention':
      return kernels.attention(x, second(), operand(2) ?? missing('v'), operand(3), attr(0), attr(1) === 1, attr(2))
    case 'layer_norm':
      return kernels.layerNorm(x, operand(1), operand(2), attr(0))
    case 'rms_norm':
      return kernels.layerNorm(x, operand(1), undefined, attr(0), true)
    case 'group_norm':
      return kernels.groupNorm(x, operand(1), operand(2), attr(0), attr(1))
    case 'softmax':
      return kernels.softmax(x)
    case 'elementwise':
      return x
    case 'embedding':
      return kernels.embedding(x, second())
    case 'strided_copy':
      return gather(x, attr(0), step.attrs.slice(2, 2 + attr(1)), step.attrs.slice(2 + attr(1)))
    case 'resize_nearest':
      return kernels.resizeNearest(x, out.shape.slice(0, 2))
    case 'resize_bilinear':
      return kernels.resizeBilinear(x, out.shape.slice(0, 2), attr(0) === 1)
    case 'timestep_embedding':
      return kernels.timestepEmbedding(
        x.data[0] ?? missing('t'),
        columnsOf(out.shape),
        attr(0) === 1,
        attr(1),
        attr(2),
        attr(3),
      )
    default:
      return step.kernel satisfies never
  }
}

function finish(step: Step, value: Dense, row: number, memory: Memory): Dense {
  const { shape } = memory.spec(step.output)
  return step.epilogue.reduce(
    (v, op) => kernels.broadcast(op.op, v, op.operand === undefined ? (op.value ?? 0) : memory.read(op.operand, row)),
    dense(shape, value.data),
  )
}
