/** sub: y = a - b. */

import type { Value } from '../value'
import { defineBinary } from './broadcast'

const op = defineBinary('sub', 1)

/**
 * @param a - shape [..., N].
 * @param b - the shape of a, [N] or [1, ..., N] per channel, or one value.
 * @returns the shape of a.
 */
export function sub(at: string, a: Value, b: Value): Value {
  return op(at, [a, b], {})
}
