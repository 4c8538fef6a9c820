/** add: y = a + b. */

import type { Value } from '../value'
import { defineBinary, widerFirst } from './broadcast'

const op = defineBinary('add', 1)

/**
 * @param a - shape [..., N].
 * @param b - the shape of a, [N] or [1, ..., N] per channel, or one value; a and b may be exchanged.
 * @returns the larger of the two shapes.
 */
export function add(at: string, a: Value, b: Value): Value {
  return op(at, widerFirst(a, b), {})
}
