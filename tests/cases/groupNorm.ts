import { type OpCases, param, x } from './case'

export const groupNorm: OpCases = {
  op: 'group_norm',
  reduction: ([picture], { groups }) =>
    (picture?.shape ?? []).reduce((product, size) => product * size, 1) / Number(groups),
  cases: [
    { operands: [x(1, 1, 2)], attrs: { groups: 1, eps: 1e-5 } },
    { operands: [x(3, 5, 4), param(4), param(4)], attrs: { groups: 4, eps: 1e-5 } },
    { operands: [x(4, 4, 32), param(32), param(32)], attrs: { groups: 32, eps: 1e-6 } },
    { operands: [x(7, 3, 6), param(6)], attrs: { groups: 2, eps: 1e-5 } },
    { operands: [x(5, 9, 21), param(21), param(21)], attrs: { groups: 3, eps: 1e-5 } },
    { operands: [x(16, 16, 64), param(64), param(64)], attrs: { groups: 32, eps: 1e-5 } },
    { operands: [x(23, 17, 40), param(40), param(40)], attrs: { groups: 8, eps: 1e-5 } },
    {
      operands: [{ ...x(4, 3, 8), within: 'columns' }, param(8), param(8)],
      attrs: { groups: 2, eps: 1e-5 },
      into: 'columns',
    },
  ],
}
