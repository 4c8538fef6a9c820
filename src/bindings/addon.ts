/** The native surface, as one page of types; `native/addon/methods.h` is the same page in C++. */

import type { DType } from '../tensor/dtype'
import type { TensorData } from '../tensor/tensor'

declare const kind: unique symbol

/** A native thing owned by a JS object: freed by `release`, or by its finalizer. */
interface Handle<Kind extends string> {
  readonly [kind]: Kind
}
export type DeviceHandle = Handle<'device'>
export type PackHandle = Handle<'pack'>
export type BufferHandle = Handle<'buffer'>
export type ExecutableHandle = Handle<'executable'>
export type LaneHandle = Handle<'lane'>
export type CancelHandle = Handle<'cancel'>
export type AnyHandle = DeviceHandle | PackHandle | BufferHandle | ExecutableHandle | LaneHandle | CancelHandle

/** Element types by their native code. */
export const DTYPE_CODES: readonly DType[] = ['f32', 'f16', 'bf16', 'i32', 'i64', 'u8']

export interface NativeDeviceInfo {
  readonly backend: string
  readonly name: string
  readonly arithmetic: string
  readonly reason: string
  readonly dtypes: readonly number[]
  readonly preferredDtype: number
  readonly threads: number
  readonly memoryBytes: number
  readonly attentionKeyBlock: number
  readonly winogradTiles: readonly number[]
  readonly winogradDtypes: readonly number[]
  readonly strassenDtypes: readonly number[]
  readonly upsampledConv2d: boolean
  readonly widenedDtypes: readonly number[]
  /** Codes of kernels. */
  readonly int8Products: readonly number[]
  readonly int8Sums: 16 | 32
  readonly peaks: readonly string[]
}

export interface NativeTensorEntry {
  readonly name: string
  /** The file format's word for the element type: `BF16`, `F64`. */
  readonly type: string
  /** -1 where nothing reads that type. */
  readonly dtype: number
  readonly shape: readonly number[]
  readonly begin: number
  readonly end: number
}

/** Bytes alive on a device, by what they are. */
export interface DeviceMemory {
  readonly packBytes: number
  readonly bufferBytes: number
  readonly arenaBytes: number
}

/** What failed calls throw, and promises reject with: `code` is an ErrorCode, or `aborted`. */
export interface NativeFailure {
  readonly code: string
  readonly message: string
}

/**
 * What the addon exports. Everything it is handed is read before a call returns; typed arrays of `run` are pointed into
 * until its promise settles. Promises are settled on this thread; pending ones keep Node alive.
 */
export interface Addon {
  openDevice(backend: string, instructions: string, threads: number): DeviceHandle
  describeDevice(device: DeviceHandle): NativeDeviceInfo
  deviceMemory(device: DeviceHandle): DeviceMemory
  allocateBuffer(device: DeviceHandle, sizeBytes: number): BufferHandle
  openLane(device: DeviceHandle): LaneHandle
  /** Operations or bytes a second; takes its turn among the runs of the lane. `threads` 0: all of the device. */
  measurePeak(
    lane: LaneHandle,
    name: string,
    threads: number,
    milliseconds: number,
    cancel: CancelHandle,
  ): Promise<number>
  readIndex(file: string, cancel: CancelHandle): Promise<readonly NativeTensorEntry[]>
  makePack(
    device: DeviceHandle,
    recipe: Uint8Array,
    files: readonly string[],
    packing: number,
    dtype: number,
    shape: readonly number[],
    cancel: CancelHandle,
  ): Promise<PackHandle>
  bind(
    device: DeviceHandle,
    program: Uint8Array,
    packs: readonly PackHandle[],
    cancel: CancelHandle,
  ): Promise<ExecutableHandle>
  /** Inputs and outputs are port-major: value `port * rows + row`. When `timed`, gives the nanoseconds of every step. */
  run(
    lane: LaneHandle,
    executable: ExecutableHandle,
    rows: number,
    inputs: readonly (TensorData | BufferHandle)[],
    outputs: readonly (TensorData | BufferHandle)[],
    cancel: CancelHandle,
    timed: boolean,
  ): Promise<readonly number[] | undefined>
  makeCancel(): CancelHandle
  /** Jobs of that handle stop; those that have not begun are settled at once. */
  abort(cancel: CancelHandle): void
  release(handle: AnyHandle): void
}
