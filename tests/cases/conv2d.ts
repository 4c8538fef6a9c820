import type { Attrs } from '../../src/graph/value'
import { type OpCases, param, x } from './case'

const geometry = (stride: number, ...padding: number[]): Attrs => ({
  stride: [stride, stride],
  padding: padding.length === 1 ? Array(4).fill(padding[0]) : padding,
})

export const conv2d: OpCases = {
  op: 'conv2d',
  reduction: ([, weight]) => (weight?.shape ?? []).slice(1).reduce((product, size) => product * size, 1),
  cases: [
    { operands: [x(1, 1, 1), param(1, 1, 1, 1)], attrs: geometry(1, 0) },
    { operands: [x(1, 1, 3), param(5, 3, 3, 3), param(5)], attrs: geometry(1, 1) },
    { operands: [x(5, 7, 3), param(4, 3, 3, 3), param(4)], attrs: geometry(1, 1) },
    { operands: [x(8, 8, 16), param(16, 3, 3, 16), param(16)], attrs: geometry(1, 1) },
    { operands: [x(7, 5, 13), param(17, 3, 3, 13), param(17)], attrs: geometry(1, 1) },
    { operands: [x(9, 9, 8), param(6, 3, 3, 8), param(6)], attrs: geometry(2, 1) },
    { operands: [x(8, 8, 5), param(7, 3, 3, 5)], attrs: geometry(2, 0, 0, 1, 1) },
    { operands: [x(6, 6, 24), param(32, 1, 1, 24), param(32)], attrs: geometry(1, 0) },
    { operands: [x(8, 12, 4), param(20, 2, 2, 4), param(20)], attrs: geometry(2, 0) },
    { operands: [x(11, 6, 2), param(3, 7, 7, 2), param(3)], attrs: geometry(1, 3) },
    { operands: [x(4, 9, 3), param(5, 2, 3, 3)], attrs: { stride: [2, 3], padding: [1, 0, 0, 2] } },
    { operands: [x(4, 4, 8), param(5, 1, 1, 8)], attrs: geometry(1, 0, 0, 1, 1) },
    { operands: [x(4, 4, 20), param(6, 1, 1, 20), param(6)], attrs: geometry(1, 0, 0, 1, 1) },
    { operands: [x(5, 3, 16), param(7, 1, 1, 16), param(7)], attrs: geometry(2, 0, 0, 2, 1) },
    { operands: [x(4, 3, 17), param(9, 1, 1, 17)], attrs: geometry(1, 2, 0, 0, 0) },
    { operands: [x(3, 3, 33), param(65, 3, 3, 33), param(65)], attrs: geometry(1, 1) },
    { operands: [x(17, 19, 40), param(24, 3, 3, 40), param(24)], attrs: geometry(1, 1) },
    { operands: [x(18, 15, 32), param(33, 3, 3, 32), param(33)], attrs: geometry(1, 1) },
    { operands: [x(7, 13, 17), param(3, 3, 3, 17), param(3)], attrs: geometry(1, 1) },
    { operands: [x(5, 9, 32), param(1, 1, 1, 32)], attrs: geometry(1, 0) },
    { operands: [x(9, 14, 40), param(4, 3, 3, 40), param(4)], attrs: geometry(2, 1) },
    { operands: [x(3, 8, 16), param(2, 2, 3, 16), param(2)], attrs: { stride: [1, 2], padding: [0, 1, 1, 0] } },
    { operands: [{ ...x(6, 5, 33), within: 'columns' }, param(3, 3, 3, 33)], attrs: geometry(1, 1), into: 'columns' },
    { operands: [{ ...x(16, 16, 33), within: 'columns' }, param(35, 3, 3, 33)], attrs: geometry(1, 1), into: 'rows' },
    { operands: [{ ...x(6, 5, 12), within: 'columns' }, param(8, 3, 3, 12), param(8)], attrs: geometry(1, 1) },
    { operands: [{ ...x(4, 4, 7), within: 'rows' }, param(9, 3, 3, 7)], attrs: geometry(1, 1), into: 'columns' },
  ],
}
