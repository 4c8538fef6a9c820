/** Rounding to bfloat16, as files hold it. */

/** The 16 bits of the nearest bfloat16 of each finite value, the even one of two. */
export function toBf16(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length)
  return Uint16Array.from(words, (word) => (word + 0x7fff + ((word >>> 16) & 1)) >>> 16)
}
