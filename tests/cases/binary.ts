/** Ops of two operands, in every way b may lie against a. */

import type { Shape } from '../../src/tensor/shape'
import { type CaseOperand, elementwiseReduction, type OpCase, type OpCases, param, VECTOR_SHAPES, x } from './case'

function binary(op: string, shapes: readonly Shape[]): OpCases {
  const cases = shapes.flatMap((shape): OpCase[] => {
    const n = shape.at(-1) ?? 1
    return [
      { operands: [x(...shape), x(...shape)] },
      { operands: [x(...shape), param(...shape)] },
      { operands: [x(...shape), x(n)] },
      { operands: [x(...shape), x(...shape.map((_, axis) => (axis === shape.length - 1 ? n : 1)))] },
      { operands: [x(...shape), param(n)] },
    ]
  })
  const wide = (shape: CaseOperand, within: 'columns' | 'rows'): CaseOperand => ({ ...shape, within })
  return {
    op,
    reduction: elementwiseReduction,
    cases: [
      ...cases,
      { operands: [x(3, 5), x(1)] },
      { operands: [x(3, 5), param(1)] },
      { operands: [wide(x(4, 6), 'columns'), wide(x(4, 6), 'columns')], into: 'columns' },
      { operands: [wide(x(4, 6), 'rows'), wide(x(1, 6), 'columns')], into: 'rows' },
      { operands: [x(4, 6), wide(x(6), 'columns')] },
    ],
  }
}

export const add = binary('add', VECTOR_SHAPES.slice(0, 11))
export const sub = binary('sub', VECTOR_SHAPES.slice(3, 8))
export const mul = binary('mul', VECTOR_SHAPES.slice(3, 8))
export const mulOnePlus = binary('mul_one_plus', VECTOR_SHAPES.slice(3, 8))

export const modulate: OpCases = {
  op: 'modulate',
  reduction: elementwiseReduction,
  cases: [
    { operands: [x(1, 1), x(1), x(1)] },
    { operands: [x(5, 13), x(13), x(1, 13)] },
    { operands: [x(4, 16), { ...x(1, 16), within: 'rows' }, { ...x(1, 16), within: 'rows' }] },
    { operands: [x(3, 7), x(3, 7), param(7)] },
  ],
}
