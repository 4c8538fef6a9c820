/** Programs: a flat list of steps over a buffer table, for one row; the batch is a run-time multiplier. */

import type { Recipe } from '../graph/recipe'
import type { StorageType } from '../tensor/dtype'
import type { Shape } from '../tensor/shape'
import type { EpilogueName, KernelName } from './kernels'

/** Only this version is decoded. */
export const PROGRAM_VERSION = 3

/** Where a buffer's bytes are. */
export type Storage =
  /** Row r at `arena + B·offset + r·rowBytes`; `offset` is a multiple of 64, rows lie dense behind each other. */
  | { readonly kind: 'arena'; readonly offset: number }
  /** Per-row pointers handed to the run: caller's memory or request state. */
  | { readonly kind: 'input'; readonly index: number }
  | { readonly kind: 'output'; readonly index: number }
  /** A pack, the same for all rows. */
  | { readonly kind: 'param'; readonly index: number }
  /** Part of another buffer (never of a view): its row's bytes from `byteOffset` on, last-axis vectors `pitch` apart. */
  | { readonly kind: 'view'; readonly base: number; readonly byteOffset: number }

/** Storage types in the order of their codes. */
export const STORAGE_TYPES: readonly StorageType[] = ['f32', 'f16', 'bf16', 'i32', 'i64', 'u8', 'i8', 'i8-sums16']

/** One entry of the buffer table. */
export interface BufferSpec {
  /** Module path or input name, for prints and errors. */
  readonly name: string
  readonly dtype: StorageType
  /** Of one row; channels last. */
  readonly shape: Shape
  /** Elements between consecutive last-axis vectors; equals the last size when dense. Only views may differ. */
  readonly pitch: number
  readonly storage: Storage
}

/**
 * How a parameter lies in device memory: `plain` row-major, `gemm` in the backend's own panel order of [N, K],
 * `upsample` likewise, of a 3x3 convolution [O, 9·I] made for pictures that it sees doubled.
 */
export type Packing = 'plain' | 'gemm' | 'upsample'

/** Packings in the order of their codes. */
export const PACKINGS: readonly Packing[] = ['plain', 'gemm', 'upsample']

/** A parameter: its recipe and what the kernel wants of it. A conv weight [O, kh, kw, I] is packed as [O, kh·kw·I]. */
export interface ParamSpec {
  readonly recipe: Recipe
  readonly packing: Packing
  readonly dtype: StorageType
  readonly shape: Shape
  /** Type it may be kept in although that rounds its values, where products widen it. */
  readonly rounded?: 'bf16'
}

/** One element-wise op of an epilogue: over a buffer, over a constant, or unary. */
export interface EpilogueOp {
  readonly op: EpilogueName
  /** Buffer index of the operand, when the op has one. */
  readonly operand?: number
  /** Constant, when the op has one. */
  readonly value?: number
}

/** One launch. Attributes include the reduction schedule, which depends on one row's shape only. */
export interface Step {
  readonly kernel: KernelName
  /** Buffer indices in the kernel's operand order; `null` for an operand left out. */
  readonly operands: readonly (number | null)[]
  readonly output: number
  readonly attrs: readonly number[]
  readonly epilogue: readonly EpilogueOp[]
  /** Module path. */
  readonly at: string
}

/** A signature entry: what a run is given or gives. */
export interface PortSpec {
  readonly name: string
  readonly buffer: number
}

export interface Program {
  readonly name: string
  readonly buffers: readonly BufferSpec[]
  readonly params: readonly ParamSpec[]
  readonly inputs: readonly PortSpec[]
  readonly outputs: readonly PortSpec[]
  readonly steps: readonly Step[]
  /** Bytes of arena one row needs; the arena of a run is B times this. */
  readonly arenaBytes: number
}
