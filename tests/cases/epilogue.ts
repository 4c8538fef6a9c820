/** Element-wise ops that may follow any kernel inside its launch, and kernels for them to follow. */

import { ACTIVATIONS } from '../../src/graph/ops/activation'
import type { Attrs } from '../../src/graph/value'
import { type OpCase, param, x } from './case'

/** One element-wise op of a chain. */
export interface Link {
  readonly op: string
  readonly attrs?: Attrs
  /** Its second operand: like the result, one per channel, or one value; in a wider value when `within`. */
  readonly operand?: 'same' | 'channel' | 'scalar'
  readonly within?: boolean
}

const REACHES = [
  { operand: 'same' },
  { operand: 'same', within: true },
  { operand: 'channel' },
  { operand: 'channel', within: true },
  { operand: 'scalar' },
] as const

/** Every epilogue op alone, in every reach. */
export const LINKS: readonly Link[] = [
  ...ACTIVATIONS.map((kind) => ({ op: 'activation', attrs: { kind } })),
  { op: 'scale', attrs: { factor: -1.5 } },
  { op: 'offset', attrs: { amount: 0.25 } },
  { op: 'leaky_relu', attrs: { slope: 0.1 } },
  ...['add', 'sub', 'mul', 'mul_one_plus'].flatMap((op) => REACHES.map((reach) => ({ op, ...reach }))),
  { op: 'prelu', operand: 'channel' },
  { op: 'prelu', operand: 'scalar' },
]

/** Chains as networks have them: gate and residual, modulation, activation between. */
export const CHAINS: readonly (readonly Link[])[] = [
  ...LINKS.map((link) => [link]),
  [
    { op: 'mul', operand: 'channel', within: true },
    { op: 'add', operand: 'same' },
  ],
  [
    { op: 'mul_one_plus', operand: 'channel' },
    { op: 'add', operand: 'channel' },
    { op: 'activation', attrs: { kind: 'silu' } },
  ],
  [
    { op: 'scale', attrs: { factor: 0.5 } },
    { op: 'activation', attrs: { kind: 'tanh' } },
    { op: 'scale', attrs: { factor: 2 } },
    { op: 'sub', operand: 'same', within: true },
    { op: 'prelu', operand: 'channel' },
    { op: 'offset', attrs: { amount: -1 } },
    { op: 'mul', operand: 'scalar' },
  ],
]

/** Kernels in shapes with edges: more than one vector, no multiple of any. */
export const LAUNCHES: readonly (OpCase & { readonly op: string })[] = [
  { op: 'linear', operands: [x(7, 19), param(37, 19), param(37)] },
  {
    op: 'conv2d',
    operands: [x(5, 4, 6), param(21, 3, 3, 6), param(21)],
    attrs: { stride: [1, 1], padding: [1, 1, 1, 1] },
  },
  {
    op: 'conv2d',
    operands: [x(5, 7, 17), param(3, 3, 3, 17), param(3)],
    attrs: { stride: [1, 1], padding: [1, 1, 1, 1] },
  },
  { op: 'attention', operands: [x(9, 22), x(5, 22), x(5, 22)], attrs: { heads: 2, causal: false, scale: 0.3 } },
  { op: 'layer_norm', operands: [x(6, 35), param(35), param(35)], attrs: { eps: 1e-5 } },
  { op: 'group_norm', operands: [x(3, 5, 18), param(18), param(18)], attrs: { groups: 3, eps: 1e-5 } },
  { op: 'rms_norm', operands: [x(6, 35), param(35)], attrs: { eps: 1e-5 } },
  { op: 'softmax', operands: [x(6, 35)] },
  { op: 'embedding', operands: [{ shape: [5], as: 'ids', below: 9 }, param(9, 23)] },
  { op: 'resize_nearest', operands: [x(3, 4, 19)], attrs: { size: [5, 7] } },
  { op: 'resize_bilinear', operands: [x(3, 4, 19)], attrs: { size: [5, 7], alignCorners: false } },
  {
    op: 'timestep_embedding',
    operands: [{ shape: [1], values: [3, 2, 1] }],
    attrs: { dim: 26, flip: true, shift: 0, scale: 1, maxPeriod: 10000 },
  },
]
