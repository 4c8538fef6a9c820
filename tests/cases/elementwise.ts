/** Ops with one number or one slope per channel beside x, and those of two halves of x. */

import { elementwiseReduction, type OpCases, param, VECTOR_SHAPES, x } from './case'

export const leakyRelu: OpCases = {
  op: 'leaky_relu',
  reduction: elementwiseReduction,
  cases: VECTOR_SHAPES.map((shape) => ({ operands: [x(...shape)], attrs: { slope: 0.2 } })),
}

export const prelu: OpCases = {
  op: 'prelu',
  reduction: elementwiseReduction,
  cases: [
    ...VECTOR_SHAPES.map((shape) => ({ operands: [x(...shape), param(shape.at(-1) ?? 1)] })),
    { operands: [x(3, 5), param(1)] },
    { operands: [{ ...x(4, 6), within: 'columns' as const }, param(6)], into: 'columns' as const },
  ],
}

export const scale: OpCases = {
  op: 'scale',
  reduction: elementwiseReduction,
  cases: VECTOR_SHAPES.map((shape) => ({ operands: [x(...shape)], attrs: { factor: -1.7 } })),
}

export const offset: OpCases = {
  op: 'offset',
  reduction: elementwiseReduction,
  cases: VECTOR_SHAPES.map((shape) => ({ operands: [x(...shape)], attrs: { amount: 0.3 } })),
}

export const clampTanh: OpCases = {
  op: 'clamp_tanh',
  reduction: elementwiseReduction,
  cases: VECTOR_SHAPES.slice(0, 6).map((shape) => ({ operands: [{ ...x(...shape), spread: 4 }], attrs: { limit: 3 } })),
}

export const geglu: OpCases = {
  op: 'geglu',
  reduction: elementwiseReduction,
  cases: [
    ...VECTOR_SHAPES.map((shape) => ({ operands: [x(...shape.with(-1, 2 * (shape.at(-1) ?? 1)))] })),
    { operands: [{ ...x(4, 6), within: 'columns' as const }], into: 'columns' as const },
    { operands: [{ ...x(5, 34), within: 'rows' as const }] },
  ],
}
