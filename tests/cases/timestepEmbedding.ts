import type { OpCase, OpCases } from './case'

function call(
  dim: number,
  times: readonly number[],
  attrs: { flip?: boolean; shift?: number; scale?: number; maxPeriod?: number } = {},
): OpCase {
  const { flip = false, shift = 0, scale = 1, maxPeriod = 10000 } = attrs
  return { operands: [{ shape: [1], values: times }], attrs: { dim, flip, shift, scale, maxPeriod } }
}

export const timestepEmbedding: OpCases = {
  op: 'timestep_embedding',
  // An angle is a float32: off by an epsilon of itself.
  reduction: ([t], { scale }) => 4 + 4 * Number(scale) * Math.max(...(t?.values ?? [1])),
  cases: [
    call(2, [0, 1, 999]),
    call(6, [981, 500.5, 1], { flip: true }),
    call(256, [981, 999, 0.25], { flip: true }),
    call(320, [1, 20, 981], { flip: true, shift: 0 }),
    call(64, [0.1, 0.9, 1], { shift: 1, scale: 1000 }),
    call(10, [3, 2, 1], { maxPeriod: 100 }),
  ],
}
