/** Seeded numbers for tests: the same on every run and machine. */

/** A stream of uniform numbers. */
export interface Random {
  /** In [0, 1). */
  uniform(): number
  /** Integer in [0, below). */
  below(below: number): number
  /** Standard normal. */
  normal(): number
  pick<T>(items: readonly T[]): T
}

/** mulberry32. */
export function random(seed: number): Random {
  let state = seed >>> 0
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number) => Math.floor(uniform() * limit)
  return {
    uniform,
    below,
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    pick: (items) => {
      const item = items[below(items.length)]
      if (item === undefined) throw new RangeError('nothing to pick from')
      return item
    },
  }
}

/** A seed from a text. */
export function seedOf(text: string): number {
  let hash = 2166136261
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619)
  return hash >>> 0
}

/** Normal values that depend on the name alone, exact in float32. */
export function normals(name: string, count: number, scale = 1): Float32Array {
  const source = random(seedOf(name))
  return Float32Array.from({ length: count }, () => source.normal() * scale)
}
