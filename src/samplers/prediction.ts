/** Prediction types: what a network is given for a latent, and the estimate of the data from what it puts out. */

import { EngineError } from '../errors'
import { type Latent, lincomb } from '../tensor/latent'
import type { Level } from './level'
import { readOptions } from './options'

/**
 * What a network was trained to put out.
 *
 * `epsilon` the noise; `v` = alpha noise - sigma x0 (Salimans, Ho 2022, arXiv:2202.00512, appendix D); `x0` the data;
 * `flow` = noise - x0, the velocity of the straight path (Lipman et al. 2023, arXiv:2210.02747; Liu et al. 2023,
 * arXiv:2209.03003); `edm` the mixture of {@link edmPrediction}.
 */
export type PredictionName = 'epsilon' | 'v' | 'x0' | 'flow' | 'edm'

/** Both sides of a network's call. Linear, so it holds for outputs under guidance. */
export interface Prediction {
  readonly name: PredictionName
  /**
   * What the network is given.
   *
   * @param x - the sampler's latent.
   * @param level - of `x`.
   */
  input<L extends Latent>(x: L, level: Level): L
  /**
   * The estimate of the data.
   *
   * @param output - of the network, guidance included.
   * @param x - the sampler's latent, not what {@link input} made of it.
   * @param level - of `x`.
   * @throws {@link EngineError} `invalid-argument` for epsilon at pure noise, where it says nothing about the data.
   */
  toX0<L extends Latent>(output: L, x: L, level: Level): L
}

/** Networks that read x itself. */
const unscaled = <L extends Latent>(x: L): L => x

/**
 * The predictions without options, by name.
 *
 * With x = alpha x0 + sigma noise: epsilon: x0 = (x - sigma out) / alpha; v (alpha^2 + sigma^2 = 1): alpha x - sigma out;
 * x0: out; flow: (x - sigma out) / (alpha + sigma).
 */
export const PREDICTIONS: Readonly<Record<Exclude<PredictionName, 'edm'>, Prediction>> = {
  epsilon: {
    name: 'epsilon',
    input: unscaled,
    toX0(output, x, { alpha, sigma }) {
      if (alpha > 0) return lincomb([1 / alpha, x], [-sigma / alpha, output])
      const message = 'prediction: expected alpha > 0 for epsilon, got pure noise (alpha = 0)'
      throw new EngineError('invalid-argument', message)
    },
  },
  v: {
    name: 'v',
    input: unscaled,
    toX0: (output, x, { alpha, sigma }) => lincomb([alpha, x], [-sigma, output]),
  },
  x0: {
    name: 'x0',
    input: unscaled,
    toX0: (output) => lincomb([1, output]),
  },
  flow: {
    name: 'flow',
    input: unscaled,
    toX0: (output, x, { alpha, sigma }) => lincomb([1 / (alpha + sigma), x], [-sigma / (alpha + sigma), output]),
  },
}

/** Options of {@link edmPrediction}. */
export interface EdmPredictionOptions {
  /** Standard deviation of the data the network was trained on. @defaultValue 0.5 */
  readonly sigmaData?: number
  /** The sign of c_out: `v` networks of diffusers were trained with the other one. @defaultValue 'epsilon' */
  readonly output?: 'epsilon' | 'v'
}

/**
 * Preconditioned networks: Karras, Aittala, Aila, Laine 2022, arXiv:2206.00364, eq. 7 and table 1.
 *
 * D = c_skip x + c_out F(c_in x); with d = sigma_data, q^2 = sigma^2 + d^2: c_in = 1 / q, c_skip = d^2 / q^2,
 * c_out = sigma d / q. The paper's x is x / alpha and its sigma is sigma / alpha, so with q^2 = sigma^2 + (alpha d)^2:
 * c_in = 1 / q, c_skip = alpha d^2 / q^2, c_out = sigma d / q at any level, pure noise included.
 *
 * @throws {@link EngineError} `invalid-option` or `unknown-option` when an option is wrong.
 */
export function edmPrediction(options: EdmPredictionOptions = {}): Prediction {
  const { sigmaData: d, output: kind } = readOptions(
    'edmPrediction',
    { ...options },
    {
      sigmaData: { default: 0.5, min: 1e-6, max: 1e6 },
      output: { default: 'epsilon', words: ['epsilon', 'v'] },
    },
  )
  const sign = kind === 'v' ? -1 : 1
  return {
    name: 'edm',
    input: (x, { alpha, sigma }) => lincomb([1 / Math.hypot(sigma, alpha * d), x]),
    toX0(output, x, { alpha, sigma }) {
      const q = Math.hypot(sigma, alpha * d)
      return lincomb([(alpha * d * d) / (q * q), x], [(sign * sigma * d) / q, output])
    },
  }
}
