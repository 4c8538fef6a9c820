/** The packs of one device: each made once, shared by all weights that ask for the same, freed with the last of them. */

import type { PackHandle } from './addon'
import type { Owned } from './owned'
import { SharedWork } from './sharedWork'

export interface StoredPack {
  readonly key: string
  readonly sizeBytes: number
  readonly work: SharedWork<Owned<PackHandle>>
}

export class PackStore {
  readonly #packs = new Map<string, StoredPack>()
  readonly #holders = new WeakMap<StoredPack, Set<object>>()

  /**
   * The pack of that key, made now if nobody has it; held until {@link release}.
   *
   * @param key - equal for equal packs of equal weights, and only for them.
   * @param holder - whoever asks; asking again is one hold.
   */
  hold(
    key: string,
    sizeBytes: number,
    holder: object,
    make: (signal: AbortSignal) => Promise<Owned<PackHandle>>,
  ): StoredPack {
    const known = this.#packs.get(key)
    if (known && !known.work.cancelled) {
      this.#holders.get(known)?.add(holder)
      return known
    }
    const pack: StoredPack = { key, sizeBytes, work: new SharedWork(make, (unwanted) => unwanted.dispose()) }
    this.#packs.set(key, pack)
    this.#holders.set(pack, new Set([holder]))
    pack.work.onFailure(() => this.#forget(pack))
    return pack
  }

  /** Ends a hold; executables that are bound to the pack keep it. */
  release(pack: StoredPack, holder: object): void {
    const holders = this.#holders.get(pack)
    holders?.delete(holder)
    if (holders === undefined || holders.size > 0) return
    this.#forget(pack)
    if (pack.work.cancelled) return
    pack.work.join().then(
      (made) => made.dispose(),
      () => undefined,
    )
  }

  #forget(pack: StoredPack): void {
    if (this.#packs.get(pack.key) === pack) this.#packs.delete(pack.key)
  }
}
