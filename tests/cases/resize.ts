import { elementwiseReduction, type OpCases, x } from './case'

const sizes: readonly (readonly [number, number])[] = [
  [1, 1],
  [4, 6],
  [2, 3],
  [7, 5],
  [9, 16],
]

export const resizeNearest: OpCases = {
  op: 'resize_nearest',
  reduction: elementwiseReduction,
  cases: [
    ...sizes.map((size) => ({ operands: [x(4, 6, 5)], attrs: { size } })),
    { operands: [x(1, 1, 3)], attrs: { size: [5, 2] } },
    { operands: [x(8, 8, 64)], attrs: { size: [16, 16] }, into: 'columns' },
    { operands: [{ ...x(3, 4, 7), within: 'columns' as const }], attrs: { size: [6, 8] } },
  ],
}

export const resizeBilinear: OpCases = {
  op: 'resize_bilinear',
  reduction: elementwiseReduction,
  cases: [
    ...sizes.flatMap((size) =>
      [true, false].map((alignCorners) => ({ operands: [x(4, 6, 5)], attrs: { size, alignCorners } })),
    ),
    { operands: [x(1, 1, 3)], attrs: { size: [5, 2], alignCorners: false } },
    {
      operands: [{ ...x(3, 4, 33), within: 'columns' as const }],
      attrs: { size: [7, 7], alignCorners: true },
      into: 'columns',
    },
  ],
}
