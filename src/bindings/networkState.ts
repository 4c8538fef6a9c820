/** Request state: inputs that many rows share, read and hashed once, and what a network made of them. */

import { EngineError } from '../errors'
import type { ReadInputs } from './networkInputs'
import type { State } from './stateCache'

/** A handle with one owner. What depends on its inputs alone stays on the device until it is disposed. */
export class NetworkState {
  readonly #read: ReadInputs
  readonly #pinned = new Set<State>()
  readonly #onDispose: (state: NetworkState, pinned: Iterable<State>) => void
  #disposed = false

  /** @internal Use {@link Network.state}. */
  constructor(read: ReadInputs, onDispose: (state: NetworkState, pinned: Iterable<State>) => void) {
    this.#read = read
    this.#onDispose = onDispose
  }

  /** @internal Throws `disposed`. */
  get read(): ReadInputs {
    if (this.#disposed) throw new EngineError('disposed', 'network state: expected one in use, got a disposed one')
    return this.#read
  }

  /** @internal Names of its inputs. */
  has(name: string): boolean {
    return this.#read.values.has(name)
  }

  /** @internal Keeps a state that depends on these inputs alone. */
  pin(state: State): void {
    if (this.#disposed || this.#pinned.has(state)) return
    state.users += 1
    this.#pinned.add(state)
  }

  /** Runs under way keep what they read. Idempotent. */
  dispose(): void {
    if (this.#disposed) return
    this.#disposed = true
    this.#onDispose(this, this.#pinned)
    this.#pinned.clear()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}
