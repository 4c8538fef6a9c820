/** Work in pieces: generators that stop every so often, so that whoever drives them may give others a turn. */

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
