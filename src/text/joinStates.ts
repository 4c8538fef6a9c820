/** States of text encoders side by side: windows along the tokens, encoders along the channels. */

/**
 * The windows of one prompt as one text. Attention reads `77 n` tokens of it, the prompt's own; what lies behind them up
 * to the length a network was compiled for is zeros that nobody reads.
 *
 * @param windows - n times shape [77, D].
 * @param length - tokens of the result, at least those of the windows.
 * @param width - D.
 * @returns shape [length, D]
 */
export function joinWindows(windows: readonly Float32Array[], length: number, width: number): Float32Array {
  const joined = new Float32Array(length * width)
  let at = 0
  for (const states of windows) {
    joined.set(states, at)
    at += states.length
  }
  return joined
}

/**
 * What several encoders make of the same tokens, token by token: SDXL's two.
 *
 * @param parts - shapes [L, D1], [L, D2], ...
 * @param length - L.
 * @returns shape [L, D1 + D2 + ...]
 */
export function joinChannels(parts: readonly Float32Array[], length: number): Float32Array {
  const widths = parts.map((part) => part.length / length)
  const width = widths.reduce((sum, part) => sum + part, 0)
  const joined = new Float32Array(length * width)
  let at = 0
  for (const [i, part] of parts.entries()) {
    const own = widths[i] ?? 0
    for (let token = 0; token < length; token++) {
      joined.set(part.subarray(token * own, (token + 1) * own), token * width + at)
    }
    at += own
  }
  return joined
}
