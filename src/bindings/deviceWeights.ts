/**
 * Weights on a device: every distinct (checkpoint, recipe, packing, dtype, shape) packed once, off the event loop.
 * Matrices of float32 networks keep the 16-bit type they have in the files ({@link storedType}).
 */

import { PACKINGS, type ParamSpec, STORAGE_TYPES } from '../compile/program'
import { EngineError, throwIfAborted } from '../errors'
import { inTurns, type Pieces } from '../graph/pieces'
import { recipeTensors } from '../graph/recipe'
import { recipeText } from '../graph/recipeText'
import { STORAGE_BYTES } from '../tensor/dtype'
import { elements } from '../tensor/shape'
import { assertComplete, type Checkpoint, patchCheckpoint, report, type WeightPatch } from '../weights/checkpoint'
import { StampChecks } from '../weights/stampChecks'
import type { PackHandle } from './addon'
import type { Device } from './device'
import { awaitNative } from './nativeCall'
import { Owned } from './owned'
import type { StoredPack } from './packStore'
import { type PatchedRecipes, patchedRecipes } from './patchedRecipes'
import { encodeRecipe } from './recipeBytes'
import { storedType } from './storedType'

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

/** One checkpoint on one device. Its packs are shared with other weights of the same checkpoint there. */
export class DeviceWeights {
  readonly device: Device
  readonly checkpoint: Checkpoint
  /** Differs when the checkpoint's files do; part of every cache key. */
  readonly identity: string
  /** Of the weights before any patch: what no patch touches is shared with them. */
  readonly #base: string
  readonly #patched: PatchedRecipes
  readonly #held = new Map<string, StoredPack>()
  readonly #stamps = new StampChecks()
  readonly #forks = new Set<DeviceWeights>()
  #disposed = false
  #onDispose = () => {}

  constructor(device: Device, checkpoint: Checkpoint) {
    this.device = device
    this.checkpoint = checkpoint
    this.identity = checkpoint.identity
    this.#base = checkpoint.patch?.base ?? checkpoint.identity
    this.#patched = patchedRecipes(checkpoint)
  }

  /**
   * The packs of parameters, in their order; those not yet on the device are made now.
   *
   * Throws `missing-tensor` and `shape-mismatch` with all names in `context`, `io` when a file has
   * changed since its header was read, `unsupported-format`, `out-of-memory`, `disposed`.
   */
  async packs(params: readonly ParamSpec[], options: LoadOptions = {}): Promise<PackHandle[]> {
    this.#check()
    const needed = params.flatMap(({ recipe }) => recipeTensors(recipe))
    assertComplete(report(this.checkpoint, needed), 'weights')
    const patched = params.map((param) => this.#stored({ ...param, recipe: this.#patched.recipe(param.recipe) }))
    const keys = patched.map(packKey)
    const distinct = new Map(patched.map((param, index) => [keys[index] ?? '', param]))
    const totalBytes = [...distinct.values()].reduce((sum, param) => sum + packBytes(param), 0)
    let doneBytes = 0
    const join = async (key: string, { work, sizeBytes }: StoredPack) => {
      const pack = await work.join(options.signal)
      doneBytes += sizeBytes
      options.onProgress?.({ doneBytes, totalBytes })
      return [key, pack] as const
    }
    const made = await Promise.all(await inTurns(this.#begin(distinct, join), options.signal))
    throwIfAborted(options.signal)
    const byKey = new Map(made)
    this.#check()
    return keys.map((key) => {
      const pack = byKey.get(key)
      if (!pack) throw new EngineError('internal', `weights: expected a pack for ${key}, got none`)
      return pack.get()
    })
  }

  /** Bytes of the packs made so far or being made, those of forks and those shared with other weights included. */
  memory(): { readonly packBytes: number; readonly packs: number } {
    let packBytes = 0
    const all = new Map(this.#held)
    for (const fork of this.#forks) for (const [key, pack] of fork.#held) all.set(key, pack)
    for (const { sizeBytes } of all.values()) packBytes += sizeBytes
    return { packBytes, packs: all.size }
  }

  /**
   * The same weights with an end of their own: what nobody else asked for goes with them, tables for one picture size
   * for instance.
   *
   * Throws `disposed`.
   */
  fork(): DeviceWeights {
    this.#check()
    const fork = new DeviceWeights(this.device, this.checkpoint)
    this.#forks.add(fork)
    fork.#onDispose = () => this.#forks.delete(fork)
    return fork
  }

  /**
   * The same weights with a patch on them, LoRAs for instance: packs that it does not touch are shared, others are made
   * anew from the files. They start from the weights as they are stored, whatever patch these have.
   *
   * @param patch - `undefined` takes the patch off.
   *
   * Throws `missing-tensor` for a patch of other weights, `disposed`.
   */
  patch(patch: WeightPatch | undefined): DeviceWeights {
    this.#check()
    return new DeviceWeights(this.device, patchCheckpoint(this.checkpoint, patch ?? { terms: new Map() }))
  }

  /** Gives the packs up; executables that were bound to them, and other weights, keep theirs. Idempotent. */
  dispose(): void {
    this.#disposed = true
    for (const pack of this.#held.values()) this.device.packs.release(pack, this)
    this.#held.clear()
    this.#onDispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  #check(): void {
    if (this.#disposed) throw new EngineError('disposed', 'weights: expected ones in use, got disposed ones')
  }

  #stored(param: ParamSpec): ParamSpec {
    return { ...param, dtype: storedType(param, this.device.capabilities, this.#patched.find) }
  }

  /** Starts what is not there yet; every pack is joined in the turn that holds it, so none is made for nobody. */
  *#begin<T>(
    params: ReadonlyMap<string, ParamSpec>,
    join: (key: string, pack: StoredPack) => Promise<T>,
  ): Pieces<Promise<T>[]> {
    const joined: Promise<T>[] = []
    for (const [key, param] of params) {
      this.#check()
      const one = join(key, this.#hold(key, param))
      // The caller may be gone before it waits for all of them.
      one.catch(() => undefined)
      joined.push(one)
      yield
    }
    return joined
  }

  #hold(key: string, param: ParamSpec): StoredPack {
    const pack = this.device.packs.hold(`${this.#base} ${key}`, packBytes(param), this, (signal) =>
      this.#make(param, signal),
    )
    if (this.#held.get(key) === pack) return pack
    this.#held.set(key, pack)
    pack.work.onFailure(() => {
      if (this.#held.get(key) === pack) this.#held.delete(key)
    })
    return pack
  }

  async #make(param: ParamSpec, signal: AbortSignal): Promise<Owned<PackHandle>> {
    const { bytes, files } = encodeRecipe(param.recipe, this.#patched.find)
    const { handle } = this.device
    const making = awaitNative(
      (native, cancel) =>
        native.makePack(
          handle,
          bytes,
          files.map(({ file }) => file),
          PACKINGS.indexOf(param.packing),
          STORAGE_TYPES.indexOf(param.dtype),
          param.shape,
          cancel,
        ),
      signal,
    ).then((pack) => new Owned(pack, 'pack'))
    const [made] = await Promise.allSettled([making])
    try {
      // The file is opened by its name, which may have become another one's, of too few bytes or of other ones.
      throwIfAborted(signal)
      await Promise.all(files.map((file) => this.#stamps.assertUnchanged(file)))
    } catch (error) {
      if (made.status === 'fulfilled') made.value.dispose()
      throw error
    }
    if (made.status === 'rejected') throw made.reason
    return made.value
  }
}

function packBytes({ shape, dtype }: ParamSpec): number {
  return elements(shape) * STORAGE_BYTES[dtype]
}

function packKey(param: ParamSpec): string {
  return `${param.packing} ${param.dtype} [${param.shape}] ${recipeText(param.recipe)}`
}
