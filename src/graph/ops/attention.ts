/** attention: softmax(q kᵀ · scale) v in each head, over the keys that exist. */

import { defineOp } from '../op'
import type { Value } from '../value'

export interface AttentionOptions {
  /** Heads that share the last axis: D = heads · K. */
  readonly heads: number
  /** Query i sees keys 0..i only; needs S = L. @defaultValue false */
  readonly causal?: boolean
  /** @defaultValue 1 / sqrt(K) */
  readonly scale?: number
  /** How many of the S keys exist, shape [1] i32; the rest is as if it were not there. */
  readonly kvLength?: Value
}

const op = defineOp<{ readonly heads: number; readonly causal: boolean; readonly scale: number }>({
  name: 'attention',
  operands: ['q', 'k', 'v', 'kvLength?'],
  infer([q, k, v, kvLength], { heads, causal, scale }, fail) {
    if (!q || !k || !v) return fail('q, k and v', 'fewer operands')
    for (const [name, type] of Object.entries({ q, k, v })) {
      if (type.shape.length !== 2) return fail(`${name} [L, D]`, `rank ${type.shape.length}`)
    }
    const [length = 0, width = 0] = q.shape
    const [keys = 0, keyWidth = 0] = k.shape
    const [values = 0, valueWidth = 0] = v.shape
    if (!Number.isInteger(heads) || heads < 1) return fail('at least one head', `${heads}`)
    if (width % heads !== 0) return fail(`q with a width divisible by ${heads} heads`, `${width}`)
    if (width !== keyWidth) return fail(`k of width ${width}`, `${keyWidth}`)
    if (keys !== values) return fail(`v of length ${keys}`, `${values}`)
    if (valueWidth !== width) return fail(`v of width ${width}`, `${valueWidth}`)
    if (keys < 1) return fail('at least one key', `${keys}`)
    if (causal && length !== keys) return fail(`as many keys as queries when causal, ${length}`, `${keys}`)
    if (!Number.isFinite(scale)) return fail('a finite scale', `${scale}`)
    if (kvLength && (kvLength.dtype !== 'i32' || kvLength.shape.length !== 1 || kvLength.shape[0] !== 1)) {
      return fail('kvLength [1] i32', `[${kvLength.shape}] ${kvLength.dtype}`)
    }
    return { shape: [length, width], dtype: 'f32', axes: q.axes }
  },
  flops: ([q, k]) => 4 * (q?.shape[0] ?? 0) * (k?.shape[0] ?? 0) * (q?.shape[1] ?? 0),
})

/**
 * @param q - shape [L, heads · K].
 * @param k - shape [S, heads · K].
 * @param v - shape [S, heads · K].
 * @returns shape [L, heads · K].
 */
export function attention(at: string, q: Value, k: Value, v: Value, options: AttentionOptions): Value {
  const { heads, causal = false, scale = 1 / Math.sqrt((q.shape.at(-1) ?? 1) / heads), kvLength } = options
  return op(at, kvLength ? [q, k, v, kvLength] : [q, k, v], { heads, causal, scale })
}
