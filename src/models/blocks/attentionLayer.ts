/** Multi-head attention with its four projections: self (q, k and v as one matrix) or cross (k and v as one). */

import { attention } from '../../graph/ops/attention'
import { chunk } from '../../graph/ops/slice'
import type { Value } from '../../graph/value'
import { joinedLinearLayer, linearLayer } from './layers'
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
  const { heads, names, bias = true, context, causal = false, kvLength } = options
  const width = x.shape.at(-1) ?? 0
  const [q, k, v] = project(scope, x, width, { names, bias, context })
  const mixed = attention(scope.path, q, k, v, { heads, causal, ...(kvLength ? { kvLength } : {}) }) // [L, D]
  return linearLayer(scope.child(names.out), mixed, width)
}

function project(
  scope: Scope,
  x: Value,
  width: number,
  { names, bias, context }: { names: ProjectionNames; bias: boolean; context: Value | undefined },
): [q: Value, k: Value, v: Value] {
  const joined = (of: Value, layers: readonly string[]): Value[] =>
    chunk(
      scope.path,
      joinedLinearLayer(
        layers.map((name) => scope.child(name)),
        of,
        width,
        { bias },
      ),
      layers.length,
    )
  if (context) {
    const [k, v] = joined(context, [names.k, names.v])
    if (k && v) return [linearLayer(scope.child(names.q), x, width, { bias }), k, v]
  }
  const [q, k, v] = joined(x, [names.q, names.k, names.v])
  if (q && k && v) return [q, k, v]
  throw new RangeError('attention has three projections')
}
