/**
 * Weights of a prompt's tokens, applied to the encoder's states as AUTOMATIC1111's web UI does.
 *
 * z' = w z · mean(z) / mean(w z), the mean over all tokens and channels of one window. ComfyUI moves each state away from
 * that of an empty prompt instead, z0 + w (z - z0), and Compel does so for weights above 1 and blends in the prompt without
 * the words for weights below; both need further rows of the encoder, and neither gives the same picture. The web UI takes
 * the mean over a batch of prompts, here a prompt is by itself.
 */

/**
 * @param states - of one window. Shape [L, D].
 * @param weights - shape [L]; `undefined` leaves the states as they are.
 * @returns shape [L, D]; the same array when there are no weights.
 */
export function applyWeights(states: Float32Array, weights: Float32Array | undefined): Float32Array {
  if (weights === undefined) return states
  const width = states.length / weights.length
  const weighted = states.map((value, i) => value * (weights[Math.floor(i / width)] ?? 1))
  const ratio = Math.fround(sum(states) / sum(weighted))
  // All weights zero, or a mean that happens to be: nothing to restore.
  return Number.isFinite(ratio) ? weighted.map((value) => value * ratio) : weighted
}

function sum(values: Float32Array): number {
  return values.reduce((total, value) => total + value, 0)
}
