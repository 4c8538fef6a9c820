import { elementwiseReduction, type OpCases, param, x } from './case'

export const embedding: OpCases = {
  op: 'embedding',
  reduction: elementwiseReduction,
  cases: [
    { operands: [{ shape: [1], as: 'ids', below: 1 }, param(1, 1)] },
    { operands: [{ shape: [7], as: 'ids', below: 11 }, param(11, 13)] },
    { operands: [{ shape: [77], as: 'ids', below: 100 }, param(100, 64)], into: 'columns' },
    { operands: [{ shape: [1], as: 'ids', below: 5 }, x(5, 24)] },
    {
      operands: [
        { shape: [3], as: 'ids', below: 6 },
        { ...x(6, 9), within: 'columns' },
      ],
    },
  ],
}
