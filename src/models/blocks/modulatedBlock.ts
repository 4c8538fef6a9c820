/** The transformer block of the DiT family: norm, modulate, mix, gate, add; with cross-attention between in PixArt. */

import { add } from '../../graph/ops/add'
import { modulate } from '../../graph/ops/modulate'
import { mul } from '../../graph/ops/mul'
import { chunk } from '../../graph/ops/slice'
import type { Value } from '../../graph/value'
import { attentionLayer, DIFFUSERS_PROJECTIONS } from './attentionLayer'
import { DIFFUSERS_FEED_FORWARD, feedForward } from './feedForward'
import type { Scope } from './scope'
import type { TransformerConfig } from './transformerConfig'

export interface ModulatedBlockOptions {
  readonly config: TransformerConfig
  /** Shift, scale and gate of attention, then of the MLP, behind each other: shape [6·D]. */
  readonly modulation: Value
  /** The norm before attention and the one before the MLP. */
  readonly norms: readonly [(x: Value) => Value, (x: Value) => Value]
  /** Text to attend to between the two. */
  readonly cross?: { readonly context: Value; readonly kvLength: Value }
}

/**
 * With (β₁, γ₁, α₁, β₂, γ₂, α₂) the six parts of the modulation:
 *
 *     x ← x + α₁ · attn1(norm1(x) (1 + γ₁) + β₁)
 *     x ← x + attn2(x, context)                        PixArt: not normalised
 *     x ← x + α₂ · ff(norm2(x) (1 + γ₂) + β₂)
 *
 * @param x - shape [L, D].
 * @returns shape [L, D].
 */
export function modulatedBlock(
  scope: Scope,
  x: Value,
  { config, modulation, norms, cross }: ModulatedBlockOptions,
): Value {
  const { heads, attentionBias: bias, width, activation } = config
  const at = scope.path
  const [shift1, scale1, gate1, shift2, scale2, gate2] = chunk(at, modulation, 6)
  if (!shift1 || !scale1 || !gate1 || !shift2 || !scale2 || !gate2) throw new RangeError('a modulation has six parts')

  const mixer = scope.child('attn1')
  const mixed = attentionLayer(mixer, modulate(at, norms[0](x), shift1, scale1), {
    heads,
    bias,
    names: DIFFUSERS_PROJECTIONS,
  })
  x = add(at, mul(mixer.path, mixed, gate1), x)
  if (cross) {
    const read = attentionLayer(scope.child('attn2'), x, { heads, bias, names: DIFFUSERS_PROJECTIONS, ...cross })
    x = add(at, read, x)
  }
  const mlp = scope.child('ff')
  const fed = feedForward(mlp, modulate(at, norms[1](x), shift2, scale2), {
    hidden: 4 * width,
    activation,
    names: DIFFUSERS_FEED_FORWARD,
  })
  return add(at, mul(mlp.path, fed, gate2), x)
}
