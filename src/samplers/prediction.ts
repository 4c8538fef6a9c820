/** Prediction types: from what a network puts out to x0. */

import { EngineError } from '../errors'
import { type Latent, lincomb } from '../tensor/latent'
import type { Level } from './level'

/**
 * What a network was trained to put out.
 *
 * `epsilon` the noise; `v` = alpha noise - sigma x0 (Salimans, Ho 2022, arXiv:2202.00512, appendix D); `x0` the data;
 * `flow` = noise - x0, the velocity of the straight path (Lipman et al. 2023, arXiv:2210.02747; Liu et al. 2023,
 * arXiv:2209.03003).
 */
export type Prediction = 'epsilon' | 'v' | 'x0' | 'flow'

/**
 * The estimate of the data.
 *
 * With x = alpha x0 + sigma noise: epsilon: (x - sigma out) / alpha; v (alpha^2 + sigma^2 = 1): alpha x - sigma out;
 * x0: out; flow: (x - sigma out) / (alpha + sigma).
 *
 * @param prediction - what `output` is.
 * @param output - of the network, guidance included.
 * @param x - what the network saw.
 * @param level - of `x`.
 * @throws {@link EngineError} `invalid-argument` for epsilon at pure noise, where it says nothing about the data.
 */
export function toX0<L extends Latent>(prediction: Prediction, output: L, x: L, level: Level): L {
  const { alpha, sigma } = level
  switch (prediction) {
    case 'epsilon':
      if (alpha === 0) {
        throw new EngineError(
          'invalid-argument',
          'prediction: expected alpha > 0 for epsilon, got pure noise (alpha = 0)',
        )
      }
      return lincomb([1 / alpha, x], [-sigma / alpha, output])
    case 'v':
      return lincomb([alpha, x], [-sigma, output])
    case 'x0':
      return lincomb([1, output])
    case 'flow':
      return lincomb([1 / (alpha + sigma), x], [-sigma / (alpha + sigma), output])
    default:
      return prediction satisfies never
  }
}
