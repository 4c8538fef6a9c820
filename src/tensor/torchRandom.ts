/**
 * PyTorch's CPU random generator, for pictures that can be compared with diffusers.
 *
 * The engine is mt19937 (Matsumoto, Nishimura 1998, "Mersenne twister", ACM TOMACS 8.1). Fewer than 16 normals are drawn
 * one by one in float64, two per Box-Muller pair, the second kept for the next such call. From 16 on the output is first
 * filled with float32 uniforms and turned into normals in blocks of 16 (8 radii, 8 angles); when the size is no multiple
 * of 16 the last 16 values are drawn anew. There x86 builds compute logarithm and cosine in float32 with the polynomials
 * of Moshier's Cephes and fused multiply-add; they are followed here operation by operation, so the bits are the same.
 * Builds for other processors call their C library and differ from both in the last bits.
 */

import { checkSeed } from './philox'

const STATE_SIZE = 624
const SHIFT_SIZE = 397
const BLOCK = 16

/** A generator as `torch.Generator('cpu').manual_seed(seed)`; calls continue its stream. */
export interface TorchRandom {
  /** `torch.randn(count)`, float32. */
  randn(count: number): Float32Array
  /** The next raw 32 bits. */
  nextWord(): number
}

/**
 * Starts a generator.
 *
 * @param seed - integer from 0; as in PyTorch only its low 32 bits matter.
 * @throws {@link EngineError} `invalid-option` when the seed is not one.
 */
export function torchRandom(seed: number | bigint): TorchRandom {
  const nextWord = mt19937(Number(checkSeed(seed) & 0xffffffffn))
  const uniformFloat = () => (nextWord() & 0xffffff) / 2 ** 24
  const uniformDouble = () => {
    const high = nextWord() & 0x1fffff // 53 bits: 21 of the first word, 32 of the second
    return (high * 2 ** 32 + nextWord()) / 2 ** 53
  }
  let kept: number | undefined // second half of the last float64 pair

  function normalDouble(): number {
    if (kept !== undefined) {
      const value = kept
      kept = undefined
      return value
    }
    const theta = 2 * Math.PI * uniformDouble()
    const radius = Math.sqrt(-2 * Math.log1p(-uniformDouble()))
    kept = radius * Math.sin(theta)
    return radius * Math.cos(theta)
  }

  return {
    nextWord,
    randn(count) {
      const values = new Float32Array(count) // [count]
      if (count < BLOCK) {
        for (let i = 0; i < count; i++) values[i] = normalDouble()
        return values
      }
      for (let i = 0; i < count; i++) values[i] = uniformFloat()
      for (let start = 0; start + BLOCK <= count; start += BLOCK) normalsInPlace(values.subarray(start, start + BLOCK))
      if (count % BLOCK !== 0) {
        const last = values.subarray(count - BLOCK)
        for (let i = 0; i < BLOCK; i++) last[i] = uniformFloat()
        normalsInPlace(last)
      }
      return values
    },
  }
}

/** Turns 16 uniforms into 16 normals: values i and i + 8 are one pair. */
function normalsInPlace(block: Float32Array): void {
  for (let i = 0; i < BLOCK / 2; i++) {
    const u = 1 - (block[i] ?? 0) // (0, 1], exact in float32
    const theta = f32(TWO_PI * (block[i + BLOCK / 2] ?? 0))
    const radius = f32(Math.sqrt(-2 * lnFloat(u)))
    const [cos, sin] = cosSinFloat(theta)
    block[i] = radius * cos
    block[i + BLOCK / 2] = radius * sin
  }
}

const f32 = Math.fround
const TWO_PI = f32(2 * Math.PI)

/** a b + c in float32, rounded once (the product of two float32 is exact in float64). */
const fma = (a: number, b: number, c: number) => f32(a * b + c)

/** c0 x^n + c1 x^(n-1) + ... + cn by Horner's rule in float32. */
const polynomial = (coefficients: Float32Array, x: number) => coefficients.reduce((sum, c) => fma(sum, x, c), 0)

// Minimax coefficients, highest power first (Cephes logf, sinf, cosf).
const LOG = Float32Array.of(
  7.0376836292e-2,
  -1.151461031e-1,
  1.167699874e-1,
  -1.2420140846e-1,
  1.4249322787e-1,
  -1.6668057665e-1,
  2.0000714765e-1,
  -2.4999993993e-1,
  3.3333331174e-1,
)
const COS = Float32Array.of(2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
const SIN = Float32Array.of(-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)

/** ln 2 and pi / 4 as sums of float32 whose first parts have few bits, so that multiples of them are exact. */
const LN2_HIGH = f32(0.693359375)
const LN2_LOW = f32(-2.1219444e-4)
const PI_4 = Float32Array.of(0.78515625, 2.4187564849853516e-4, 3.774894977445941e-8)
const FOUR_OVER_PI = f32(4 / Math.PI)
const SQRT_HALF = f32(Math.SQRT1_2)

/** ln u for u in [2^-24, 1] a multiple of 2^-24: u = 2^e (1 + x), ln = e ln 2 + x - x^2 / 2 + x^3 P(x). */
function lnFloat(u: number): number {
  let e = 8 - Math.clz32(u * 2 ** 24) // u = m 2^e, m in [1/2, 1)
  const m = u / 2 ** e
  if (m < SQRT_HALF) e -= 1
  const x = m < SQRT_HALF ? 2 * m - 1 : m - 1 // exact
  const z = f32(x * x)
  let y = f32(polynomial(LOG, x) * x)
  y = fma(y, z, f32(e * LN2_LOW))
  y = fma(z, -0.5, y)
  return fma(e, LN2_HIGH, f32(x + y))
}

/** cos and sin of theta in [0, 2 pi). */
function cosSinFloat(theta: number): readonly [cos: number, sin: number] {
  const octant = (Math.trunc(f32(theta * FOUR_OVER_PI)) + 1) & ~1
  const x = PI_4.reduce((rest, part) => fma(octant, -part, rest), theta) // |x| <= pi / 4
  const z = f32(x * x)
  const cos = f32(fma(f32(polynomial(COS, z) * z), z, -z / 2) + 1)
  const sin = fma(f32(polynomial(SIN, z) * z), x, x)
  switch (octant % 8) {
    case 2:
      return [-sin, cos]
    case 4:
      return [-cos, -sin]
    case 6:
      return [sin, -cos]
    default:
      return [cos, sin]
  }
}

/** The Mersenne twister; each call of the result gives 32 bits. */
function mt19937(seed: number): () => number {
  const state = new Uint32Array(STATE_SIZE)
  state[0] = seed
  for (let i = 1; i < STATE_SIZE; i++) {
    const previous = state[i - 1] ?? 0
    state[i] = Math.imul(1812433253, previous ^ (previous >>> 30)) + i
  }
  let index = STATE_SIZE

  function refill(): void {
    for (let i = 0; i < STATE_SIZE; i++) {
      const joined = ((state[i] ?? 0) & 0x80000000) | ((state[(i + 1) % STATE_SIZE] ?? 0) & 0x7fffffff)
      const twist = joined & 1 ? 0x9908b0df : 0
      state[i] = (state[(i + SHIFT_SIZE) % STATE_SIZE] ?? 0) ^ (joined >>> 1) ^ twist
    }
    index = 0
  }

  return () => {
    if (index >= STATE_SIZE) refill()
    let word = state[index++] ?? 0
    word ^= word >>> 11
    word ^= (word << 7) & 0x9d2c5680
    word ^= (word << 15) & 0xefc60000
    return (word ^ (word >>> 18)) >>> 0
  }
}
