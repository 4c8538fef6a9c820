/** States of networks on their device: what sub-programs left there, by content, within a byte bound. */

import type { DeviceBuffer } from './device'
import type { SharedWork } from './sharedWork'

/** What one run of a sub-program left for one row. */
export interface State {
  readonly key: string
  /** By state name. */
  readonly buffers: ReadonlyMap<string, DeviceBuffer>
  readonly sizeBytes: number
  /** The run that fills the buffers. */
  readonly work: SharedWork<void>
  /** Nobody can ask for it by its key again: it goes with its last user. */
  readonly unique: boolean
  /** Runs that read it now, and handles that pin it: it stays meanwhile. */
  users: number
}

/** Least recently used states leave first. The bound may be exceeded by what running calls and handles hold. */
export class StateCache {
  readonly #limitBytes: number
  readonly #states = new Map<string, State>() // in order of last use
  #sizeBytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get count(): number {
    return this.#states.size
  }

  /** The state of that key, taken into use; `undefined` when there is none that will ever be filled. */
  take(key: string): State | undefined {
    const state = this.#states.get(key)
    if (!state || state.work.cancelled) return undefined
    this.#states.delete(key)
    this.#states.set(key, state)
    state.users += 1
    return state
  }

  /** Adds a state with one user; it leaves again when its run fails. */
  add(state: State): void {
    this.#remove(state.key)
    this.#states.set(state.key, state)
    this.#sizeBytes += state.sizeBytes
    state.work.onFailure(() => {
      if (this.#states.get(state.key) === state) this.#remove(state.key)
    })
    this.#shrink()
  }

  /** Ends one use. */
  release(state: State): void {
    state.users -= 1
    if (state.users === 0) {
      // Replaced or failed meanwhile: the last user frees it.
      if (this.#states.get(state.key) !== state) freeBuffers(state)
      else if (state.unique) this.#remove(state.key)
    }
    this.#shrink()
  }

  /** Frees every state that nobody reads; the rest go with their last user. */
  clear(): void {
    for (const key of [...this.#states.keys()]) this.#remove(key)
  }

  #remove(key: string): void {
    const state = this.#states.get(key)
    if (!state) return
    this.#states.delete(key)
    this.#sizeBytes -= state.sizeBytes
    if (state.users === 0) freeBuffers(state)
  }

  #shrink(): void {
    for (const state of this.#states.values()) {
      if (this.#sizeBytes <= this.#limitBytes) return
      if (state.users === 0) this.#remove(state.key)
    }
  }
}

function freeBuffers(state: State): void {
  for (const buffer of state.buffers.values()) buffer.dispose()
}
