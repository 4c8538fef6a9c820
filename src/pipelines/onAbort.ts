/** One listener per signal, however many calls wait on it: thousands may share a server's shutdown signal. */

const waiting = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Calls back when the signal fires, at once when it has.
 *
 * @returns a function that ends the waiting; the last one to call it takes the listener off the signal.
 */
export function onAbort(signal: AbortSignal | undefined, callback: () => void): () => void {
  if (signal === undefined) return () => {}
  if (signal.aborted) {
    callback()
    return () => {}
  }
  const callbacks = waiting.get(signal) ?? listen(signal)
  const own = () => callback() // its own identity, so that a callback given twice is called twice
  callbacks.add(own)
  return () => {
    callbacks.delete(own)
    if (callbacks.size > 0 || waiting.get(signal) !== callbacks) return
    waiting.delete(signal)
    signal.removeEventListener('abort', fire)
  }
}

function listen(signal: AbortSignal): Set<() => void> {
  const callbacks = new Set<() => void>()
  waiting.set(signal, callbacks)
  signal.addEventListener('abort', fire, { once: true })
  return callbacks
}

function fire(this: AbortSignal): void {
  const callbacks = waiting.get(this)
  waiting.delete(this)
  for (const callback of callbacks ?? []) callback()
}
