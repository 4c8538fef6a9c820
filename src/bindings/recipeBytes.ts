/** Recipes as bytes for the native evaluator, in postfix order; the format is in `native/core/recipe.h`. */

import { EngineError } from '../errors'
import type { Recipe } from '../graph/recipe'
import type { Shape } from '../tensor/shape'
import { isRead, type StampedFile, type TensorEntry } from '../weights/checkpoint'
import { DTYPE_CODES } from './addon'

const MAGIC = 0x43525249
const VERSION = 2
const OP = { tensor: 0, literal: 1, slice: 2, concat: 3, reshape: 4, permute: 5, addLowRank: 6 } as const

export interface EncodedRecipe {
  readonly bytes: Uint8Array
  /** Files that the bytes name by their index, with their stamps. */
  readonly files: readonly StampedFile[]
}

/** Where the tensors of a name lie. */
export type FindTensor = (name: string) => TensorEntry | undefined

/** Encodes a recipe with its tensors looked up. Throws `missing-tensor` and `unsupported-format`. */
export function encodeRecipe(recipe: Recipe, find: FindTensor): EncodedRecipe {
  const writer = new Writer()
  const files: StampedFile[] = []
  writer.u32(MAGIC)
  writer.u32(VERSION)
  write(recipe)
  return { bytes: writer.bytes(), files }

  function write(node: Recipe): void {
    switch (node.kind) {
      case 'tensor': {
        const entry = find(node.name)
        if (!entry)
          throw new EngineError('missing-tensor', `expected tensor "${node.name}", found none`, { tensor: node.name })
        if (!isRead(entry.dtype)) {
          throw new EngineError(
            'unsupported-format',
            `${entry.file}: tensor "${node.name}": expected f32, f16 or bf16, got ${entry.dtype}`,
            { file: entry.file, tensor: node.name },
          )
        }
        let source = files.findIndex(({ file }) => file === entry.file)
        if (source < 0) source = files.push({ file: entry.file, stamp: entry.stamp }) - 1
        writer.u8(OP.tensor)
        writer.u32(source)
        writer.i64(entry.begin)
        writer.i64(entry.end)
        writer.u8(DTYPE_CODES.indexOf(entry.dtype))
        writer.shape(entry.transposed ? node.shape.toReversed() : node.shape)
        if (entry.transposed) permute([1, 0])
        return
      }
      case 'literal':
        writer.u8(OP.literal)
        writer.shape(node.shape)
        writer.raw(bytesOf(node.data))
        return
      case 'slice':
        write(node.of)
        writer.u8(OP.slice)
        writer.u32(node.axis)
        writer.i64(node.start)
        writer.i64(node.shape[node.axis] ?? 0)
        return
      case 'concat':
        node.parts.forEach(write)
        writer.u8(OP.concat)
        writer.u32(node.parts.length)
        writer.u32(node.axis)
        return
      case 'reshape':
        write(node.of)
        writer.u8(OP.reshape)
        writer.shape(node.shape)
        return
      case 'permute':
        write(node.of)
        permute(node.order)
        return
      case 'addLowRank':
        write(node.of)
        write(node.up)
        write(node.down)
        writer.u8(OP.addLowRank)
        writer.f32(node.scale)
        return
      default:
        node satisfies never
    }
  }

  function permute(order: readonly number[]): void {
    writer.u8(OP.permute)
    writer.u32(order.length)
    for (const axis of order) writer.u32(axis)
  }
}

function bytesOf(data: Float32Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

class Writer {
  #buffer = Buffer.alloc(256)
  #length = 0

  u8(value: number): void {
    this.#room(1)
    this.#length = this.#buffer.writeUInt8(value, this.#length)
  }

  u32(value: number): void {
    this.#room(4)
    this.#length = this.#buffer.writeUInt32LE(value, this.#length)
  }

  f32(value: number): void {
    this.#room(4)
    this.#length = this.#buffer.writeFloatLE(value, this.#length)
  }

  i64(value: number): void {
    this.#room(8)
    this.#length = this.#buffer.writeBigInt64LE(BigInt(value), this.#length)
  }

  shape(shape: Shape): void {
    this.u32(shape.length)
    for (const size of shape) this.i64(size)
  }

  raw(bytes: Uint8Array): void {
    this.#room(bytes.length)
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
  }

  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length)
  }

  #room(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    const grown = Buffer.alloc(Math.max(this.#buffer.length * 2, this.#length + bytes))
    grown.set(this.#buffer)
    this.#buffer = grown
  }
}
