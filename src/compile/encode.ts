/** The binary form of Programs, as native/core/program.h describes it. Recipes stay here: packs are handed in by index. */

import { EPILOGUE_OPS, KERNELS, type KernelName } from './kernels'
import { PACKINGS, PROGRAM_VERSION, type Program, STORAGE_TYPES, type Storage } from './program'

/** 'IRPG', little-endian. */
const MAGIC = 0x47505249

// Codes are positions in these lists.
const STORAGE_KINDS: readonly Storage['kind'][] = ['arena', 'input', 'output', 'param', 'view']
const KERNEL_NAMES = Object.keys(KERNELS) as KernelName[]

/** Bytes that `DecodeProgram` reads. */
export function encodeProgram(program: Program): Uint8Array {
  const out = new Writer()
  out.u32(MAGIC)
  out.u32(PROGRAM_VERSION)
  out.string(program.name)
  out.u64(program.arenaBytes)
  out.list(program.buffers, (buffer) => {
    out.string(buffer.name)
    out.code(STORAGE_TYPES, buffer.dtype)
    out.list(buffer.shape, (size) => out.i64(size))
    out.i64(buffer.pitch)
    const { storage } = buffer
    out.code(STORAGE_KINDS, storage.kind)
    out.u64(storage.kind === 'arena' ? storage.offset : storage.kind === 'view' ? storage.base : storage.index)
    out.u64(storage.kind === 'view' ? storage.byteOffset : 0)
  })
  out.list(program.params, (param) => {
    out.code(PACKINGS, param.packing)
    out.code(STORAGE_TYPES, param.dtype)
    out.list(param.shape, (size) => out.i64(size))
  })
  for (const ports of [program.inputs, program.outputs]) {
    out.list(ports, (port) => {
      out.string(port.name)
      out.u32(port.buffer)
    })
  }
  out.list(program.steps, (step) => {
    out.code(KERNEL_NAMES, step.kernel)
    out.list(step.operands, (operand) => out.i32(operand ?? -1))
    out.u32(step.output)
    out.list(step.attrs, (attr) => out.f64(attr))
    out.list(step.epilogue, (op) => {
      out.code(EPILOGUE_OPS, op.op)
      out.i32(op.operand ?? -1)
      out.f64(op.value ?? 0)
    })
    out.string(step.at)
  })
  return out.bytes()
}

/** A growing byte buffer, little-endian. */
class Writer {
  #view = new DataView(new ArrayBuffer(4096))
  #length = 0
  readonly #text = new TextEncoder()

  u8(value: number): void {
    this.#room(1).setUint8(this.#length, value)
    this.#length += 1
  }
  u32(value: number): void {
    this.#room(4).setUint32(this.#length, value, true)
    this.#length += 4
  }
  i32(value: number): void {
    this.#room(4).setInt32(this.#length, value, true)
    this.#length += 4
  }
  u64(value: number): void {
    this.#room(8).setBigUint64(this.#length, BigInt(value), true)
    this.#length += 8
  }
  i64(value: number): void {
    this.#room(8).setBigInt64(this.#length, BigInt(value), true)
    this.#length += 8
  }
  f64(value: number): void {
    this.#room(8).setFloat64(this.#length, value, true)
    this.#length += 8
  }
  string(value: string): void {
    const bytes = this.#text.encode(value)
    this.u32(bytes.length)
    this.#room(bytes.length)
    new Uint8Array(this.#view.buffer).set(bytes, this.#length)
    this.#length += bytes.length
  }
  list<T>(items: readonly T[], each: (item: T) => void): void {
    this.u32(items.length)
    items.forEach(each)
  }
  code<T>(list: readonly T[], item: T): void {
    const index = list.indexOf(item)
    if (index < 0) throw new RangeError(`${item} has no code`)
    this.u8(index)
  }
  bytes(): Uint8Array {
    return new Uint8Array(this.#view.buffer, 0, this.#length).slice()
  }

  /** Makes sure that many more bytes fit. */
  #room(bytes: number): DataView {
    if (this.#length + bytes > this.#view.byteLength) {
      const grown = new Uint8Array(Math.max(2 * this.#view.byteLength, this.#length + bytes))
      grown.set(new Uint8Array(this.#view.buffer, 0, this.#length))
      this.#view = new DataView(grown.buffer)
    }
    return this.#view
  }
}
