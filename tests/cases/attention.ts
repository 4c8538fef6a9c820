import { type CaseOperand, type OpCase, type OpCases, x } from './case'

/** L queries on S keys, `heads` of size K. */
function call(
  length: number,
  keys: number,
  heads: number,
  size: number,
  more: { causal?: boolean; kvLength?: readonly number[]; scale?: number; within?: 'columns' | 'rows' } = {},
): OpCase {
  const { causal = false, kvLength, scale = 1 / Math.sqrt(size), within } = more
  const operand = (tokens: number): CaseOperand => ({ ...x(tokens, heads * size), ...(within ? { within } : {}) })
  const length1: CaseOperand[] = kvLength ? [{ shape: [1], as: 'ids', below: keys + 1, values: kvLength }] : []
  return { operands: [operand(length), operand(keys), operand(keys), ...length1], attrs: { heads, causal, scale } }
}

export const attention: OpCases = {
  op: 'attention',
  reduction: ([q, k], { heads }) => (q?.shape[1] ?? 0) / Number(heads) + (k?.shape[0] ?? 0),
  roundsInside: true,
  cases: [
    call(1, 1, 1, 1),
    call(1, 5, 1, 8),
    call(7, 1, 2, 16),
    call(5, 5, 3, 7),
    call(16, 16, 8, 32),
    call(16, 8, 8, 32, { kvLength: [8, 3, 1] }),
    call(9, 77, 2, 40, { kvLength: [77, 65, 64] }),
    call(3, 6, 2, 8, { kvLength: [0, 6, 1] }),
    call(13, 13, 2, 64, { causal: true }),
    call(77, 77, 1, 64, { causal: true }),
    call(64, 64, 2, 72),
    call(65, 129, 1, 80),
    call(33, 200, 2, 24, { scale: 1 }),
    call(6, 131, 1, 160),
    call(70, 150, 2, 40, { kvLength: [150, 33, 0] }),
    call(100, 100, 3, 20, { causal: true }),
    call(10, 12, 2, 16, { within: 'columns' }),
    call(10, 12, 3, 11, { within: 'rows' }),
    { ...call(8, 9, 2, 16), into: 'columns' },
  ],
}
