import { lastOf, type OpCases, param, VECTOR_SHAPES, x } from './case'

export const layerNorm: OpCases = {
  op: 'layer_norm',
  reduction: lastOf,
  cases: [
    ...VECTOR_SHAPES.map((shape) => ({ operands: [x(...shape)], attrs: { eps: 1e-5 } })),
    { operands: [x(3, 24), param(24)], attrs: { eps: 1e-6 } },
    { operands: [x(5, 37), param(37), param(37)], attrs: { eps: 1e-5 } },
    { operands: [{ ...x(4, 768), spread: 30 }, param(768), param(768)], attrs: { eps: 1e-5 } },
    { operands: [{ ...x(4, 9), within: 'columns' }, param(9)], attrs: { eps: 1e-5 }, into: 'columns' },
  ],
}
