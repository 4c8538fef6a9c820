/** mul_one_plus: y = a · (1 + b); the sum is never rounded to the storage type. */

import type { Value } from '../value'
import { defineBinary } from './broadcast'

const op = defineBinary('mul_one_plus', 2)

/**
 * @param a - shape [..., N].
 * @param b - the shape of a, [N] or [1, ..., N] per channel, or one value.
 * @returns the shape of a.
 */
export function mulOnePlus(at: string, a: Value, b: Value): Value {
  return op(at, [a, b], {})
}
