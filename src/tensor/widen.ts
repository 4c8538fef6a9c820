/** Stored values as the numbers a run takes: halves widened to float32, 64-bit integers narrowed to 32. */

import { EngineError } from '../errors'
import { isFloat } from './dtype'
import type { Tensor } from './tensor'

/** The values as float32; f16 and bf16 exactly, integers rounded to nearest. */
export function toFloat32(tensor: Tensor): Float32Array {
  const { dtype, data } = tensor
  if (data instanceof Float32Array) return data
  if (data instanceof BigInt64Array) return Float32Array.from(data, Number)
  if (dtype === 'bf16') return new Float32Array(Uint32Array.from(data, (bits) => bits << 16).buffer)
  if (dtype === 'f16') return Float32Array.from(data, halfToNumber)
  return Float32Array.from(data)
}

/**
 * The values as int32.
 *
 * Throws `dtype-mismatch` for floats and `invalid-argument` for a value that does not fit.
 */
export function toInt32(tensor: Tensor, name: string): Int32Array {
  const { dtype, data } = tensor
  if (data instanceof Int32Array) return data
  if (isFloat(dtype)) {
    throw new EngineError('dtype-mismatch', `${name}: expected integers (i32, i64 or u8), got ${dtype}`, {
      name,
      expected: 'i32',
      got: dtype,
    })
  }
  return Int32Array.from(data as Iterable<number | bigint>, (value) => {
    const narrow = Number(value)
    if (Number.isInteger(narrow) && narrow === (narrow | 0)) return narrow
    throw new EngineError('invalid-argument', `${name}: expected integers of 32 bits, got ${value}`, {
      name,
      got: String(value),
    })
  })
}

/** IEEE 754 binary16: 1 sign, 5 exponent, 10 fraction bits. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 1023
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return exponent ? sign * (1 + fraction / 1024) * 2 ** (exponent - 15) : sign * fraction * 2 ** -24
}
