/** Numbers of a network's picture to bytes and back, in slices so that the event loop turns. */

import { setImmediate } from 'node:timers/promises'

/** Values handled between two turns of the event loop: about half a millisecond. */
const VALUES_PER_TURN = 1 << 17

/**
 * Bytes of a picture whose values lie in a range.
 *
 * @param values - any shape; f32; outside the range they are cut.
 * @param low - value that becomes 0.
 * @param high - value that becomes 255.
 * @returns the same shape; u8, rounded to nearest, halves up.
 */
export async function toBytes(values: Float32Array, low: number, high: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(values.length)
  const scale = 255 / (high - low)
  for (let start = 0; start < values.length; start += VALUES_PER_TURN) {
    if (start > 0) await setImmediate()
    const end = Math.min(start + VALUES_PER_TURN, values.length)
    for (let i = start; i < end; i++) {
      const value = ((values[i] ?? 0) - low) * scale
      bytes[i] = value <= 0 ? 0 : value >= 255 ? 255 : Math.floor(value + 0.5)
    }
  }
  return bytes
}

/** Values of bytes: 0 is 0, 255 is 1. */
export function fromBytes(bytes: Uint8Array): Float32Array {
  return Float32Array.from(bytes, (byte) => byte / 255)
}

/** Cuts values to [0, 1], in place. */
export function clampUnit(values: Float32Array): Float32Array {
  for (let i = 0; i < values.length; i++) values[i] = Math.min(1, Math.max(0, values[i] ?? 0))
  return values
}
