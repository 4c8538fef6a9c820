import { ACTIVATIONS } from '../../src/graph/ops/activation'
import { elementwiseReduction, type OpCases, VECTOR_SHAPES, x } from './case'

export const activation: OpCases = {
  op: 'activation',
  reduction: elementwiseReduction,
  cases: ACTIVATIONS.flatMap((kind) => [
    ...VECTOR_SHAPES.slice(0, 8).map((shape) => ({ operands: [x(...shape)], attrs: { kind } })),
    { operands: [{ ...x(7, 73), spread: kind === 'exp' ? 2 : 4 }], attrs: { kind } },
    { operands: [{ ...x(3, 9), within: 'columns' as const }], attrs: { kind }, into: 'columns' as const },
  ]),
}
