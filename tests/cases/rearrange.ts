/** Ops that move elements without computing: views where memory allows, copies where not. */

import { elementwiseReduction, type OpCases, x } from './case'

const moved = { reduction: elementwiseReduction }

export const reshape: OpCases = {
  op: 'reshape',
  ...moved,
  cases: [
    { operands: [x(6)], attrs: { shape: [2, 3], axes: 'a b' } },
    { operands: [x(4, 6)], attrs: { shape: [3, 8], axes: 'a b' } },
    { operands: [{ ...x(4, 6), within: 'columns' }], attrs: { shape: [24], axes: 'a' } },
    { operands: [{ ...x(4, 6), within: 'columns' }], attrs: { shape: [2, 2, 6], axes: 'a b c' }, into: 'columns' },
  ],
}

export const permute: OpCases = {
  op: 'permute',
  ...moved,
  cases: [
    { operands: [x(3, 5)], attrs: { order: [1, 0] } },
    { operands: [x(2, 3, 4)], attrs: { order: [2, 0, 1] } },
    { operands: [x(4, 1, 6)], attrs: { order: [1, 0, 2] } },
    { operands: [x(2, 3, 2, 3, 2)], attrs: { order: [0, 2, 1, 3, 4] } },
    { operands: [{ ...x(3, 4, 5), within: 'columns' }], attrs: { order: [1, 0, 2] } },
    { operands: [{ ...x(7, 9), within: 'rows' }], attrs: { order: [1, 0] }, into: 'columns' },
  ],
}

export const concat: OpCases = {
  op: 'concat',
  ...moved,
  cases: [
    { operands: [x(3)], attrs: { axis: 0 } },
    { operands: [x(3, 5), x(3, 1), x(3, 7)], attrs: { axis: 1 } },
    { operands: [x(3, 5), x(1, 5)], attrs: { axis: 0 } },
    { operands: [x(2, 3, 4), x(2, 1, 4)], attrs: { axis: 1 } },
    { operands: [{ ...x(4, 6), within: 'columns' }, x(4, 2)], attrs: { axis: 1 }, into: 'columns' },
  ],
}

export const slice: OpCases = {
  op: 'slice',
  ...moved,
  cases: [
    { operands: [x(8)], attrs: { axis: 0, start: 3, size: 2 } },
    { operands: [x(4, 9)], attrs: { axis: 1, start: 5, size: 3 } },
    { operands: [x(4, 9)], attrs: { axis: 0, start: 1, size: 2 } },
    { operands: [x(3, 4, 5)], attrs: { axis: 1, start: 2, size: 1 } },
    { operands: [{ ...x(4, 9), within: 'columns' }], attrs: { axis: 1, start: 1, size: 7 }, into: 'columns' },
  ],
}

const factorTwo = { factor: 2 }

export const pixelShuffle: OpCases = {
  op: 'pixel_shuffle',
  ...moved,
  cases: [
    { operands: [x(1, 1, 4)], attrs: factorTwo },
    { operands: [x(3, 5, 12)], attrs: factorTwo },
    { operands: [x(4, 4, 48)], attrs: { factor: 4 } },
    { operands: [{ ...x(2, 3, 9), within: 'columns' }], attrs: { factor: 3 } },
  ],
}

export const pixelUnshuffle: OpCases = {
  op: 'pixel_unshuffle',
  ...moved,
  cases: [
    { operands: [x(2, 2, 1)], attrs: factorTwo },
    { operands: [x(6, 10, 3)], attrs: factorTwo },
    { operands: [{ ...x(6, 3, 5), within: 'columns' }], attrs: { factor: 3 } },
  ],
}

export const depthToSpace: OpCases = {
  op: 'depth_to_space',
  ...moved,
  cases: [
    { operands: [x(1, 1, 4)], attrs: factorTwo },
    { operands: [x(4, 4, 64)], attrs: factorTwo },
    { operands: [{ ...x(3, 5, 12), within: 'columns' }], attrs: factorTwo },
  ],
}
