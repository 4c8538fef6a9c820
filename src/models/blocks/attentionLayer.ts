/** Multi-head attention with its four projections, over the tokens themselves or over a context. */

import { attention } from '../../graph/ops/attention'
import type { Value } from '../../graph/value'
import { linearLayer } from './layers'
import type { Scope } from './scope'

/** Names of the four projections below the attention module. */
export interface ProjectionNames {
  readonly q: string
  readonly k: string
  readonly v: string
  readonly out: string
}

/** Names in diffusers' `Attention`. */
export const DIFFUSERS_PROJECTIONS: ProjectionNames = { q: 'to_q', k: 'to_k', v: 'to_v', out: 'to_out.0' }

export interface AttentionLayerOptions {
  readonly heads: number
  readonly names: ProjectionNames
  /** Biases of q, k and v; the output projection always has one. @defaultValue true */
  readonly bias?: boolean
  /** What is attended to, shape [S, C]; x itself when left out. */
  readonly context?: Value
  readonly causal?: boolean
  /** How many keys exist, shape [1] i32. */
  readonly kvLength?: Value
}

/**
 * `out(softmax(q kᵀ / √K) v)`.
 *
 * @param x - shape [L, D].
 * @returns shape [L, D].
 */
export function attentionLayer(scope: Scope, x: Value, options: AttentionLayerOptions): Value {
  const { heads, names, bias = true, context = x, causal = false, kvLength } = options
  const width = x.shape.at(-1) ?? 0
  const q = linearLayer(scope.child(names.q), x, width, { bias }) // [L, D]
  const k = linearLayer(scope.child(names.k), context, width, { bias }) // [S, D]
  const v = linearLayer(scope.child(names.v), context, width, { bias }) // [S, D]
  const mixed = attention(scope.path, q, k, v, { heads, causal, ...(kvLength ? { kvLength } : {}) }) // [L, D]
  return linearLayer(scope.child(names.out), mixed, width)
}
