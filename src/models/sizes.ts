/** Sizes that a call decides: required, whole, positive, and divisible where a network demands it. */

import { EngineError } from '../errors'
import type { Place, Sizes } from './model'

/** The size of an axis. Throws `invalid-argument` when it is left out or no whole positive number. */
export function sizeOf(sizes: Sizes, axis: keyof Sizes, at: Place): number {
  const size = sizes[axis]
  if (size !== undefined && Number.isSafeInteger(size) && size > 0) return size
  throw new EngineError('invalid-argument', `${at.component}: ${axis}: expected a whole positive size, got ${size}`, {
    axis,
    got: size,
  })
}

/** Throws `shape-mismatch` unless `divisor` divides the axis. */
export function divisible(sizes: Sizes, axis: keyof Sizes, divisor: number, at: Place): number {
  const size = sizeOf(sizes, axis, at)
  if (size % divisor === 0) return size / divisor
  throw new EngineError('shape-mismatch', `${at.component}: ${axis}: expected a multiple of ${divisor}, got ${size}`, {
    axis,
    expected: divisor,
    got: size,
  })
}
