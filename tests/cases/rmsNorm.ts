import { lastOf, type OpCases, param, VECTOR_SHAPES, x } from './case'

export const rmsNorm: OpCases = {
  op: 'rms_norm',
  reduction: lastOf,
  cases: [
    ...VECTOR_SHAPES.map((shape) => ({ operands: [x(...shape)], attrs: { eps: 1e-6 } })),
    { operands: [x(5, 37), param(37)], attrs: { eps: 1e-6 } },
    { operands: [{ ...x(6, 64), within: 'columns' }, param(64)], attrs: { eps: 1e-5 }, into: 'rows' },
  ],
}
