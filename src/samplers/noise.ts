/** Sources of a request's noise: Philox (the default) and PyTorch's CPU generator (to compare with diffusers). */

import { type HostLatent, hostLatent } from '../tensor/latent'
import { checkSeed, philox4x32, philoxNormals } from '../tensor/philox'
import { elements, type Shape } from '../tensor/shape'
import { torchRandom } from '../tensor/torchRandom'
import type { Level } from './level'

/** The noise of one request. */
export interface RequestNoise {
  /** What the run starts from. Variance 1. */
  readonly initial: HostLatent
  /** Noise between two levels, see {@link Noise}. */
  between(from: Level, to: Level): HostLatent
}

/**
 * Noise that is a function of (seed, interval) alone: computed anew at every call, nothing is kept.
 *
 * Stream 0 of the seed is the initial noise; an interval's stream is a hash of its two levels.
 *
 * @param seed - integer, 64 bits.
 * @param shape - of the latent.
 * @throws {@link EngineError} `invalid-option` when the seed is not one.
 */
export function philoxNoise(seed: number | bigint, shape: Shape): RequestNoise {
  const count = elements(shape)
  return {
    initial: hostLatent(philoxNormals(seed, 0n, count), shape),
    between: (from, to) => hostLatent(philoxNormals(seed, intervalStream(from, to), count), shape),
  }
}

/**
 * Noise drawn as diffusers draws it: the initial latent first, then one draw per interval in the order the sampler asks.
 *
 * An interval that is asked for again gets the draw it got before. Draws are kept for that, so one source is for one
 * request.
 *
 * @param seed - integer; as in PyTorch its low 32 bits matter.
 * @param shape - of the latent, without a batch axis.
 * @throws {@link EngineError} `invalid-option` when the seed is not one.
 */
export function torchNoise(seed: number | bigint, shape: Shape): RequestNoise {
  const random = torchRandom(checkSeed(seed))
  const draw = () => hostLatent(random.randn(elements(shape)), shape)
  const initial = draw()
  const drawn = new Map<bigint, HostLatent>()
  return {
    initial,
    between(from, to) {
      const stream = intervalStream(from, to)
      const noise = drawn.get(stream) ?? draw()
      drawn.set(stream, noise)
      return noise
    },
  }
}

const HASH_KEY = [0x6972_6f64, 0x6f72_6921] as const // any two words; these spell "irodori!"

/** A 64-bit name for an interval: Philox over the float32 bits of its alphas and sigmas. Never 0. */
function intervalStream(from: Level, to: Level): bigint {
  const bits = new Uint32Array(Float32Array.of(from.alpha, from.sigma, to.alpha, to.sigma).buffer)
  const [a = 0, b = 0, c = 0, d = 0] = bits
  const [low, high] = philox4x32([a, b, c, d], ...HASH_KEY)
  return (BigInt(high) << 32n) | BigInt(low) || 1n
}
