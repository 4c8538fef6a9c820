/** Levels: how much data and how much noise a latent holds, and what the network is told about it. */

/** x = alpha x0 + sigma noise, the noise of variance 1. */
export interface Level {
  /** Weight of the data, from 0. */
  readonly alpha: number
  /** Weight of the noise, from 0; not 0 together with alpha. */
  readonly sigma: number
  /** The time the network is told, in the units it was trained with. */
  readonly t: number
}

/** Half the logarithm of the signal-to-noise ratio: ln(alpha / sigma); infinite at either end. */
export function lambda(level: Level): number {
  return Math.log(level.alpha / level.sigma)
}

/** Noise per data, sigma / alpha: what Karras et al. 2022 call sigma. Infinite for pure noise. */
export function noiseRatio(level: Level): number {
  return level.sigma / level.alpha
}

/** The variance-preserving level (alpha^2 + sigma^2 = 1) with that sigma / alpha. */
export function preservingLevel(ratio: number, t: number): Level {
  if (ratio === Number.POSITIVE_INFINITY) return { alpha: 0, sigma: 1, t }
  const alpha = 1 / Math.sqrt(ratio * ratio + 1)
  return { alpha, sigma: ratio * alpha, t }
}

/** The flow level (alpha + sigma = 1) with that sigma. */
export function flowLevel(s: number, t: number): Level {
  return { alpha: 1 - s, sigma: s, t }
}

/** The variance-exploding level (alpha = 1) with that sigma. */
export function explodingLevel(sigma: number, t: number): Level {
  return { alpha: 1, sigma, t }
}
