/** The timesteps of latent consistency models: a subset of those the student was distilled at. */

import { EngineError } from '../../errors'

/**
 * n timesteps, noisiest first.
 *
 * Distilled at k j - 1, k = floor(T / N), j = 1 ... N (only the first N * strength when starting from a picture); of those,
 * from the noisiest, the ones at floor(i count / n).
 *
 * @param T - trained timesteps.
 * @param distilled - N, usually 50.
 * @param n - steps.
 * @param strength - share of the noise that a run from a picture starts with; 1 without a picture.
 * @throws {@link EngineError} `invalid-option` when there are fewer distilled timesteps than steps.
 */
export function lcmGrid(T: number, distilled: number, n: number, strength: number): number[] {
  const k = Math.floor(T / distilled)
  const count = Math.floor(distilled * strength)
  if (n > count) {
    const where = `LCM distilled at ${distilled} timesteps, strength ${strength}`
    throw new EngineError('invalid-option', `steps: expected at most ${count} (${where}), got ${n}`, {
      option: 'steps',
    })
  }
  return Array.from({ length: n }, (_, i) => k * (count - Math.floor((i * count) / n)) - 1)
}
