/** Two linear layers with an activation between them. */

import { type ActivationName, activation } from '../../graph/ops/activation'
import type { Value } from '../../graph/value'
import { linearLayer } from './layers'
import type { Scope } from './scope'

export interface FeedForwardOptions {
  /** Width between the layers. */
  readonly hidden: number
  /** Width of the result. @defaultValue the width of x */
  readonly out?: number
  readonly activation: ActivationName
  /** Names of the two layers below the module. */
  readonly names: readonly [string, string]
}

/** Names in diffusers' `FeedForward` (without gating). */
export const DIFFUSERS_FEED_FORWARD = ['net.0.proj', 'net.2'] as const

/** Names in diffusers' `TimestepEmbedding` and `PixArtAlphaTextProjection`. */
export const LINEAR_PAIR = ['linear_1', 'linear_2'] as const

/**
 * `W2 f(W1 x + b1) + b2`.
 *
 * @param x - shape [..., D].
 * @returns shape [..., out].
 */
export function feedForward(scope: Scope, x: Value, options: FeedForwardOptions): Value {
  const [first, second] = options.names
  const raised = linearLayer(scope.child(first), x, options.hidden)
  const active = activation(scope.path, raised, options.activation)
  return linearLayer(scope.child(second), active, options.out ?? x.shape.at(-1) ?? 0)
}
