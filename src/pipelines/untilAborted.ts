/** Waiting that ends with a signal, for work that goes on for others. */

import { onAbort } from '../bindings/abortFanOut'
import { abortError, throwIfAborted } from '../errors'

/**
 * The work's result, or an AbortError as soon as the signal fires; the work itself goes on.
 *
 * @throws AbortError when the signal fires first.
 */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  throwIfAborted(signal)
  if (signal === undefined) return work
  let stop = () => {}
  const aborted = new Promise<never>((_, reject) => {
    stop = onAbort(signal, () => reject(abortError(signal.reason)))
  })
  return Promise.race([work, aborted]).finally(stop)
}
