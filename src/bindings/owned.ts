/** A native handle with one owner: used while alive, released once. */

import { EngineError } from '../errors'
import type { AnyHandle } from './addon'
import { addon } from './load'

/** Owns a handle. Undisposed ones are freed by the native finalizer when collected. */
export class Owned<H extends AnyHandle> {
  #handle: H | undefined
  readonly #what: string

  /** @param what - for messages: `executable "unet"`. */
  constructor(handle: H, what: string) {
    this.#handle = handle
    this.#what = what
  }

  /** The handle. Throws `disposed`. */
  get(): H {
    if (this.#handle === undefined) {
      throw new EngineError('disposed', `${this.#what}: expected one in use, got a disposed one`)
    }
    return this.#handle
  }

  get disposed(): boolean {
    return this.#handle === undefined
  }

  /** Idempotent. Native jobs that use the handle keep what it owns until they are done. */
  dispose(): void {
    if (this.#handle === undefined) return
    addon().release(this.#handle)
    this.#handle = undefined
  }
}
