/** Work in pieces: generators that stop every so often, so that whoever drives them may give others a turn. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import { throwIfAborted } from '../errors'

/** How long the event loop is held at a time; a piece is shorter by far. */
const TURN_MS = 2

/** Yields between pieces of less than a millisecond; returns the result. */
export type Pieces<T> = Generator<undefined, T, undefined>

/** The same work in one go. */
export function whole<A extends readonly unknown[], T>(work: (...args: A) => Pieces<T>): (...args: A) => T {
  return (...args) => {
    const pieces = work(...args)
    for (;;) {
      const piece = pieces.next()
      if (piece.done) return piece.value
    }
  }
}

/**
 * The same work with a turn for others whenever it has held the event loop for long, and before it begins.
 *
 * Throws an AbortError when the signal fires; the work then stays where it is.
 */
export async function inTurns<T>(work: Pieces<T>, signal: AbortSignal | undefined): Promise<T> {
  for (;;) {
    await nextTurn()
    throwIfAborted(signal)
    for (const began = performance.now(); performance.now() - began < TURN_MS; ) {
      const piece = work.next()
      if (piece.done) return piece.value
    }
  }
}
