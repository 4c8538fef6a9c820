/** One listener per AbortSignal, however many calls wait on it; it is removed with the last of them. */

interface Watch {
  readonly callbacks: Set<() => void>
  readonly listener: () => void
}

const watches = new WeakMap<AbortSignal, Watch>()

/**
 * Calls `callback` once when the signal fires; an already fired signal calls nothing.
 *
 * @returns stops waiting; may be called any number of times.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const watch = watches.get(signal) ?? startWatch(signal)
  // A function of its own, so that one callback handed in twice is called twice.
  const entry = () => callback()
  watch.callbacks.add(entry)
  return () => {
    watch.callbacks.delete(entry)
    if (watch.callbacks.size > 0 || watches.get(signal) !== watch) return
    watches.delete(signal)
    signal.removeEventListener('abort', watch.listener)
  }
}

function startWatch(signal: AbortSignal): Watch {
  const callbacks = new Set<() => void>()
  const listener = () => {
    watches.delete(signal)
    for (const callback of callbacks) callback()
    callbacks.clear()
  }
  const watch = { callbacks, listener }
  watches.set(signal, watch)
  signal.addEventListener('abort', listener, { once: true })
  return watch
}
