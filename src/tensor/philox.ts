/**
 * Philox 4x32-10, a counter-based random generator, and normal numbers made from it with the same bits everywhere.
 *
 * Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3", section 3.3. The key is the seed, the
 * counter is (block, stream): any part of any stream can be computed alone and in any order.
 *
 * The normals avoid Math.log, Math.sin and Math.cos: ECMAScript leaves their last bits open and V8 has changed them
 * between versions. Only + - * / and sqrt are used, which IEEE 754 defines to the last bit.
 */

import { EngineError } from '../errors'

const MULTIPLIER_0 = 0xd2511f53
const MULTIPLIER_1 = 0xcd9e8d57
const WEYL_0 = 0x9e3779b9 // golden ratio
const WEYL_1 = 0xbb67ae85 // sqrt(3) - 1
const ROUNDS = 10

/** Four 32-bit words. */
export type Words4 = readonly [number, number, number, number]

/** High 32 bits of the 64-bit product of two unsigned 32-bit numbers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff
  const aHigh = a >>> 16
  const bLow = b & 0xffff
  const bHigh = b >>> 16
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16) // < 2^32
  const carry = aLow * bHigh + (middle & 0xffff) // < 2^32
  return (aHigh * bHigh + (middle >>> 16) + (carry >>> 16)) >>> 0
}

/**
 * One block: ten rounds of Philox over a counter.
 *
 * @param counter - four unsigned words.
 * @param key0 - low word of the key.
 * @param key1 - high word of the key.
 */
export function philox4x32(counter: Words4, key0: number, key1: number): Words4 {
  let [c0, c1, c2, c3] = counter
  let k0 = key0
  let k1 = key1
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0)
    const low0 = Math.imul(MULTIPLIER_0, c0) >>> 0
    const high1 = multiplyHigh(MULTIPLIER_1, c2)
    const low1 = Math.imul(MULTIPLIER_1, c2) >>> 0
    c0 = (high1 ^ c1 ^ k0) >>> 0
    c1 = low1
    c2 = (high0 ^ c3 ^ k1) >>> 0
    c3 = low0
    k0 = (k0 + WEYL_0) >>> 0
    k1 = (k1 + WEYL_1) >>> 0
  }
  return [c0, c1, c2, c3]
}

const SEED_LIMIT = 2n ** 64n

/**
 * A seed as a 64-bit integer.
 *
 * @param seed - integer from 0; a number up to 2^53 - 1 or a bigint up to 2^64 - 1.
 * @throws {@link EngineError} `invalid-option` when it is negative, not an integer, NaN or too large.
 */
export function checkSeed(seed: number | bigint): bigint {
  const valid = typeof seed === 'bigint' ? seed >= 0n && seed < SEED_LIMIT : Number.isSafeInteger(seed) && seed >= 0
  if (valid) return BigInt(seed)
  const expected = 'an integer from 0 to 2^53 - 1, or a bigint below 2^64'
  throw new EngineError('invalid-option', `seed: expected ${expected}, got ${String(seed)}`, { option: 'seed' })
}

/**
 * ln((n + 1/2) / 2^32), within 2 ulp.
 *
 * (n + 1/2) / 2^32 = m 2^e with m in [1/sqrt 2, sqrt 2); ln m = 2 artanh f, f = (m - 1) / (m + 1), |f| < 0.1716,
 * whose series is cut after f^23 (the rest is below 1e-19).
 */
export function lnUniform(n: number): number {
  let exponent = n === 0 ? -1 : 31 - Math.clz32(n)
  let m = (n + 0.5) / 2 ** exponent // exact: [1, 2)
  if (m > Math.SQRT2) {
    m /= 2
    exponent += 1
  }
  const f = (m - 1) / (m + 1)
  const f2 = f * f
  let series = 0
  for (let power = 23; power >= 1; power -= 2) series = series * f2 + 1 / power
  return (exponent - 32) * Math.LN2 + 2 * f * series
}

/**
 * cos and sin of 2 pi (n + 1/2) / 2^32, within 2 ulp of 1.
 *
 * The turn is split exactly into a quarter and a rest of at most 1/8, where the Taylor series to the 17th power is
 * below 1e-17 off.
 */
export function cosSinTurn(n: number): readonly [cos: number, sin: number] {
  const turn = (n + 0.5) / 2 ** 32
  const quarter = Math.floor(turn * 4 + 0.5)
  const x = 2 * Math.PI * (turn - quarter / 4) // |x| <= pi / 4
  const x2 = x * x
  let cos = 1
  let sin = 1
  for (let k = 16; k >= 2; k -= 2) {
    cos = 1 - (x2 / (k * (k - 1))) * cos
    sin = 1 - (x2 / (k * (k + 1))) * sin
  }
  sin *= x
  switch (quarter % 4) {
    case 0:
      return [cos, sin]
    case 1:
      return [-sin, cos]
    case 2:
      return [-cos, -sin]
    default:
      return [sin, -cos]
  }
}

/**
 * Normal numbers with mean 0 and variance 1, by Box and Muller 1958: sqrt(-2 ln u) (cos 2 pi v, sin 2 pi v).
 *
 * @param seed - integer, 64 bits.
 * @param stream - which of the seed's 2^64 independent streams.
 * @param count - how many.
 * @returns the first `count` numbers of the stream. Shape [count]; f32.
 * @throws {@link EngineError} `invalid-option` when the seed is not one.
 */
export function philoxNormals(seed: number | bigint, stream: bigint, count: number): Float32Array {
  const key = checkSeed(seed)
  const key0 = Number(key & 0xffffffffn)
  const key1 = Number(key >> 32n)
  const stream0 = Number(stream & 0xffffffffn)
  const stream1 = Number((stream >> 32n) & 0xffffffffn)
  const normals = new Float32Array(count) // [count]
  for (let block = 0; block * 4 < count; block++) {
    const counter = [block >>> 0, Math.floor(block / 2 ** 32), stream0, stream1] as const
    const [a, b, c, d] = philox4x32(counter, key0, key1)
    const first = boxMuller(a, b)
    const second = boxMuller(c, d)
    const at = block * 4 // writes past the end of a typed array are ignored
    normals[at] = first[0]
    normals[at + 1] = first[1]
    normals[at + 2] = second[0]
    normals[at + 3] = second[1]
  }
  return normals
}

function boxMuller(u: number, v: number): readonly [number, number] {
  const radius = Math.sqrt(-2 * lnUniform(u))
  const [cos, sin] = cosSinTurn(v)
  return [radius * cos, radius * sin]
}
