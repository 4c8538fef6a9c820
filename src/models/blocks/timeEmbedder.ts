/** A number (a timestep, a size) as a vector: sinusoids with cos first, then two linear layers with SiLU between. */

import { timestepEmbedding } from '../../graph/ops/timestepEmbedding'
import type { Value } from '../../graph/value'
import { feedForward, LINEAR_PAIR } from './feedForward'
import type { Scope } from './scope'

/** Sinusoids per number in DiT and PixArt. */
const CHANNELS = 256

/**
 * @param t - shape [1].
 * @param shift - diffusers' `downscale_freq_shift`: 1 in DiT, 0 in PixArt.
 * @returns shape [width].
 */
export function timeEmbedder(
  scope: Scope,
  t: Value,
  { width, shift }: { readonly width: number; readonly shift: number },
): Value {
  const waves = timestepEmbedding(scope.path, t, CHANNELS, { flip: true, shift })
  return feedForward(scope, waves, { hidden: width, out: width, activation: 'silu', names: LINEAR_PAIR })
}
