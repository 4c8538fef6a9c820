/** Work that several callers wait for: done once, cancelled only when the last of them has left. */

import { abortError, throwIfAborted } from '../errors'
import { onAbort } from './abortFanOut'

/** A promise with a head count. */
export class SharedWork<T> {
  readonly #controller = new AbortController()
  readonly #result: Promise<T>
  #waiting = 0
  #settled = false

  /**
   * @param start - begins the work; it stops soon after its signal fires.
   * @param discard - frees a result that came although everyone had left.
   */
  constructor(start: (signal: AbortSignal) => Promise<T>, discard?: (result: T) => void) {
    this.#result = start(this.#controller.signal).finally(() => {
      this.#settled = true
    })
    this.#result.then(
      (result) => {
        if (this.cancelled) discard?.(result)
      },
      // Everyone may have left by the time it fails.
      () => undefined,
    )
  }

  /** Whether everyone left before it was done: it must be started anew. */
  get cancelled(): boolean {
    return this.#controller.signal.aborted
  }

  /** Calls back when the work fails or was cancelled. */
  onFailure(callback: () => void): void {
    this.#result.catch(callback)
  }

  /** Waits for the result, or until `signal` fires: then this caller leaves with an AbortError. */
  async join(signal?: AbortSignal): Promise<T> {
    throwIfAborted(signal)
    this.#waiting += 1
    try {
      return signal ? await this.#race(signal) : await this.#result
    } finally {
      this.#waiting -= 1
      if (this.#waiting === 0 && !this.#settled) this.#controller.abort()
    }
  }

  #race(signal: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const stopWaiting = onAbort(signal, () => reject(abortError(signal.reason)))
      this.#result.then(resolve, reject).finally(stopWaiting)
    })
  }
}
