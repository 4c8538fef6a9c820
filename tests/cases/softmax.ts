import { lastOf, type OpCases, VECTOR_SHAPES, x } from './case'

export const softmax: OpCases = {
  op: 'softmax',
  reduction: lastOf,
  cases: [
    ...VECTOR_SHAPES.map((shape) => ({ operands: [x(...shape)] })),
    { operands: [{ ...x(4, 33), spread: 40 }] },
    { operands: [{ ...x(6, 10), within: 'columns' as const }], into: 'columns' },
  ],
}
