/** Devices: what runs programs, and the memory on it. */

import type { Capabilities } from '../compile/capabilities'
import { KERNELS, type KernelName } from '../compile/kernels'
import { EngineError } from '../errors'
import type { DType } from '../tensor/dtype'
import { type BufferHandle, type DeviceHandle, type DeviceMemory, DTYPE_CODES, type LaneHandle } from './addon'
import { awaitNative, callNative } from './nativeCall'
import { Owned } from './owned'
import { PackStore } from './packStore'

const BACKENDS = ['cpu', 'reference'] as const
const KERNEL_NAMES = Object.keys(KERNELS) as KernelName[]
/** Kernels by backend; the native description does not name them. */
const BACKEND_KERNELS: Readonly<Record<(typeof BACKENDS)[number], readonly KernelName[]>> = {
  cpu: KERNEL_NAMES,
  // The oracle has every kernel there is.
  reference: KERNEL_NAMES,
}
/** Kernel families of the cpu device, by name; `auto` is the best that runs. */
export const INSTRUCTIONS = ['auto', 'portable', 'avx2', 'avx512', 'avx512_bf16', 'amx'] as const

export interface DeviceOptions {
  /** @defaultValue `'cpu'`; `'reference'` is the slow oracle. */
  readonly device?: (typeof BACKENDS)[number]
  /** Kernel family of the cpu backend. @defaultValue `'auto'`, the widest this machine runs. */
  readonly instructions?: (typeof INSTRUCTIONS)[number]
  /** Threads of the cpu backend; results do not depend on it. @defaultValue `'auto'`, all the process may use. */
  readonly threads?: number | 'auto'
}

export interface DeviceInfo {
  readonly backend: string
  /** Of the processor. */
  readonly name: string
  /** The class that decides the bits of results. */
  readonly arithmetic: string
  /** Why not a wider instruction set. */
  readonly reason: string
  readonly threads: number
  readonly memoryBytes: number
}

/** @internal */
export interface PeakOptions {
  /** @defaultValue `'auto'`, all of the device */
  readonly threads?: number | 'auto'
  /** How long it is measured, 1 to 10,000. @defaultValue 100 */
  readonly timeMs?: number
  readonly signal?: AbortSignal
}

/**
 * Opens a device.
 *
 * Throws `invalid-option`, `unavailable-device` when the machine lacks the instructions, `unavailable-binding` when
 * there is no addon for this platform.
 */
export function openDevice(options: DeviceOptions = {}): Device {
  const { device = 'cpu', instructions = 'auto', threads = 'auto', ...unknown } = options
  const [stranger] = Object.keys(unknown)
  if (stranger)
    throw new EngineError('unknown-option', `openDevice: expected device, instructions or threads, got ${stranger}`)
  oneOf('device', BACKENDS, device)
  oneOf('instructions', INSTRUCTIONS, instructions)
  if (threads !== 'auto' && !(Number.isInteger(threads) && threads >= 1 && threads <= 1024)) {
    throw new EngineError('invalid-option', `openDevice: threads: expected 'auto' or 1 to 1024, got ${threads}`, {
      option: 'threads',
    })
  }
  if (device === 'reference') {
    const without = instructions !== 'auto' ? 'instructions' : threads !== 'auto' ? 'threads' : undefined
    if (without) {
      throw new EngineError('invalid-option', `openDevice: expected no ${without} for the reference device, got one`, {
        option: without,
      })
    }
  }
  return new Device(callNative((native) => native.openDevice(device, instructions, threads === 'auto' ? 0 : threads)))
}

function oneOf(option: string, allowed: readonly string[], got: unknown): void {
  if (typeof got === 'string' && allowed.includes(got)) return
  throw new EngineError('invalid-option', `openDevice: ${option}: expected ${allowed.join(', ')}, got ${String(got)}`, {
    option,
  })
}

/** An open device, with the one lane its runs go through. Executables, packs and buffers keep it alive natively. */
export class Device {
  readonly info: DeviceInfo
  /** What the compiler asks. */
  readonly capabilities: Capabilities
  /** @internal Rates that {@link Device.measurePeak} knows: `fma_avx2`, `memory_read`. */
  readonly peaks: readonly string[]
  /** @internal Shared by all weights on this device. */
  readonly packs = new PackStore()
  readonly #handle: Owned<DeviceHandle>
  #lane: Owned<LaneHandle> | undefined

  /** @internal Use {@link openDevice}. */
  constructor(handle: DeviceHandle) {
    const native = callNative((addon) => addon.describeDevice(handle))
    const { backend, name, arithmetic, reason, threads, memoryBytes, peaks } = native
    this.#handle = new Owned(handle, `device ${backend}`)
    this.info = { backend, name, arithmetic, reason, threads, memoryBytes }
    this.peaks = peaks
    this.capabilities = {
      backend,
      arithmetic,
      dtypes: native.dtypes.map(dtypeOf),
      preferredDtype: dtypeOf(native.preferredDtype),
      kernels: kernelsOf(backend),
      attentionKeyBlock: native.attentionKeyBlock,
      winogradTiles: native.winogradTiles,
      winogradDtypes: native.winogradDtypes.map(dtypeOf),
      strassenDtypes: native.strassenDtypes.map(dtypeOf),
      upsampledConv2d: native.upsampledConv2d,
      widenedDtypes: native.widenedDtypes.map(dtypeOf),
      int8Products: native.int8Products.flatMap((code) => KERNEL_NAMES[code] ?? []),
      int8Sums: native.int8Sums,
    }
  }

  /** @internal Throws `disposed`. */
  get handle(): DeviceHandle {
    return this.#handle.get()
  }

  /** @internal The lane, opened at first use. Throws `disposed`. */
  get lane(): LaneHandle {
    const device = this.handle
    this.#lane ??= new Owned(
      callNative((native) => native.openLane(device)),
      'lane',
    )
    return this.#lane.get()
  }

  /** Allocates memory on the device. Throws `out-of-memory` and `disposed`. */
  allocate(sizeBytes: number): DeviceBuffer {
    return new DeviceBuffer(
      callNative((native) => native.allocateBuffer(this.handle, sizeBytes)),
      sizeBytes,
    )
  }

  /**
   * @internal The most this machine gives at the moment: operations a second (a multiply-add is two), or bytes a second for memory.
   * Takes its turn among the runs.
   *
   * @param name - one of {@link Device.peaks}.
   *
   * Throws `invalid-option`, `out-of-memory`, `disposed`; an AbortError when the signal fires.
   */
  async measurePeak(name: string, options: PeakOptions = {}): Promise<number> {
    const { threads = 'auto', timeMs = 100, signal } = options
    const { lane } = this
    const count = threads === 'auto' ? 0 : threads
    return awaitNative((native, cancel) => native.measurePeak(lane, name, count, timeMs, cancel), signal)
  }

  /** Bytes alive on this device through this handle. Throws `disposed`. */
  memory(): DeviceMemory {
    return callNative((native) => native.deviceMemory(this.handle))
  }

  /** Frees the lane; packs, buffers and executables are freed by their own owners. Idempotent. */
  dispose(): void {
    this.#lane?.dispose()
    this.#handle.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}

/** Memory on a device: state that runs leave there for later runs. */
export class DeviceBuffer {
  readonly sizeBytes: number
  readonly #handle: Owned<BufferHandle>

  /** @internal Use {@link Device.allocate}. */
  constructor(handle: BufferHandle, sizeBytes: number) {
    this.#handle = new Owned(handle, 'device buffer')
    this.sizeBytes = sizeBytes
  }

  /** @internal Throws `disposed`. */
  get handle(): BufferHandle {
    return this.#handle.get()
  }

  /** Idempotent; a run that uses the memory keeps it until it is done. */
  dispose(): void {
    this.#handle.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}

function kernelsOf(backend: string): readonly KernelName[] {
  const known = BACKENDS.find((name) => name === backend)
  if (!known) throw new EngineError('internal', `device: expected a known backend, got "${backend}"`)
  return BACKEND_KERNELS[known]
}

function dtypeOf(code: number): DType {
  const dtype = DTYPE_CODES[code]
  if (!dtype) throw new EngineError('internal', `device: expected a known dtype, got code ${code}`)
  return dtype
}
