/** Weights on a device: every distinct (recipe, packing, dtype, shape) packed once, off the event loop. */

import type { ParamSpec } from '../compile/program'
import { EngineError, throwIfAborted } from '../errors'
import { recipeText } from '../graph/recipeText'
import { DTYPE_BYTES } from '../tensor/dtype'
import { elements } from '../tensor/shape'
import { assertComplete, type Checkpoint, report } from '../weights/checkpoint'
import { DTYPE_CODES, type PackHandle } from './addon'
import type { Device } from './device'
import { awaitNative } from './nativeCall'
import { Owned } from './owned'
import { encodeRecipe, neededTensors } from './recipeBytes'
import { SharedWork } from './sharedWork'

const PACKINGS = ['plain', 'gemm'] as const

/** How far loading has come, in bytes of packed weights. */
export interface LoadProgress {
  readonly doneBytes: number
  readonly totalBytes: number
}

export interface LoadOptions {
  readonly signal?: AbortSignal
  /** Called after every parameter, in the caller's async context. */
  readonly onProgress?: (progress: LoadProgress) => void
}

interface Entry {
  readonly work: SharedWork<Owned<PackHandle>>
  readonly sizeBytes: number
}

/** The packs of one checkpoint on one device, shared by every executable that is bound to them. */
export class DeviceWeights {
  readonly device: Device
  readonly checkpoint: Checkpoint
  /** Differs when the checkpoint's files do; part of every cache key. */
  readonly identity: string
  readonly #entries = new Map<string, Entry>()
  #disposed = false

  constructor(device: Device, checkpoint: Checkpoint) {
    this.device = device
    this.checkpoint = checkpoint
    this.identity = checkpoint.identity
  }

  /**
   * The packs of parameters, in their order; those not yet on the device are made now.
   *
   * Throws `missing-tensor` and `shape-mismatch` with all names in `context`, `invalid-safetensors` when a file has
   * become shorter, `unsupported-format`, `out-of-memory`, `disposed`.
   */
  async packs(params: readonly ParamSpec[], options: LoadOptions = {}): Promise<PackHandle[]> {
    this.#check()
    const needed = params.flatMap(({ recipe }) => neededTensors(recipe))
    assertComplete(report(this.checkpoint, needed), 'weights')
    const keys = params.map(packKey)
    const distinct = new Map(keys.map((key, index) => [key, params[index]]))
    const entries = new Map<string, Entry>()
    for (const [key, param] of distinct) if (param) entries.set(key, this.#entry(key, param))
    const totalBytes = [...entries.values()].reduce((sum, entry) => sum + entry.sizeBytes, 0)
    let doneBytes = 0
    const made = await Promise.all(
      [...entries].map(async ([key, entry]) => {
        const pack = await entry.work.join(options.signal)
        doneBytes += entry.sizeBytes
        options.onProgress?.({ doneBytes, totalBytes })
        return [key, pack] as const
      }),
    )
    throwIfAborted(options.signal)
    const byKey = new Map(made)
    this.#check()
    return keys.map((key) => {
      const pack = byKey.get(key)
      if (!pack) throw new EngineError('internal', `weights: expected a pack for ${key}, got none`)
      return pack.get()
    })
  }

  /** Bytes of the packs made so far or being made. */
  memory(): { readonly packBytes: number; readonly packs: number } {
    let packBytes = 0
    for (const entry of this.#entries.values()) packBytes += entry.sizeBytes
    return { packBytes, packs: this.#entries.size }
  }

  /** Gives the packs up; executables that were bound to them keep theirs. Idempotent. */
  dispose(): void {
    this.#disposed = true
    for (const { work } of this.#entries.values()) {
      work.join().then(
        (pack) => pack.dispose(),
        () => undefined,
      )
    }
    this.#entries.clear()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  #check(): void {
    if (this.#disposed) throw new EngineError('disposed', 'weights: expected ones in use, got disposed ones')
  }

  #entry(key: string, param: ParamSpec): Entry {
    const known = this.#entries.get(key)
    if (known && !known.work.cancelled) return known
    const entry: Entry = {
      work: new SharedWork(
        (signal) => this.#make(param, signal),
        (pack) => pack.dispose(),
      ),
      sizeBytes: elements(param.shape) * DTYPE_BYTES[param.dtype],
    }
    this.#entries.set(key, entry)
    entry.work.onFailure(() => {
      if (this.#entries.get(key) === entry) this.#entries.delete(key)
    })
    return entry
  }

  async #make(param: ParamSpec, signal: AbortSignal): Promise<Owned<PackHandle>> {
    const { bytes, files } = encodeRecipe(param.recipe, this.checkpoint)
    const { handle } = this.device
    const pack = await awaitNative(
      (native, cancel) =>
        native.makePack(
          handle,
          bytes,
          files,
          PACKINGS.indexOf(param.packing),
          DTYPE_CODES.indexOf(param.dtype),
          param.shape,
          cancel,
        ),
      signal,
    )
    return new Owned(pack, 'pack')
  }
}

function packKey(param: ParamSpec): string {
  return `${param.packing} ${param.dtype} [${param.shape}] ${recipeText(param.recipe)}`
}
