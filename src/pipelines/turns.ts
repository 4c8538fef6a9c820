/** Sharing the JavaScript thread: work of many small parts that lets others have their turn. */

import { performance } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'

/** How long one turn of the event loop may take before others get theirs: half a frame at 60 Hz. */
const TURN_MS = 8

/**
 * Maps one by one, in order, and gives the event loop a turn between two items whenever {@link TURN_MS} have passed.
 *
 * @param map - synchronous.
 */
export async function mapInTurns<T, R>(items: readonly T[], map: (item: T, index: number) => R): Promise<R[]> {
  const results: R[] = []
  let started = performance.now()
  for (const [index, item] of items.entries()) {
    if (performance.now() - started > TURN_MS) {
      await setImmediate()
      started = performance.now()
    }
    results.push(map(item, index))
  }
  return results
}
