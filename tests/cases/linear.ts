import { lastOf, type OpCases, param, x } from './case'

export const linear: OpCases = {
  op: 'linear',
  reduction: lastOf,
  cases: [
    { operands: [x(1), param(1, 1)] },
    { operands: [x(3), param(5, 3), param(5)] },
    { operands: [x(1, 64), param(1, 64), param(1)] },
    { operands: [x(2, 1), param(7, 1), param(7)] },
    { operands: [x(7, 5), param(3, 5)] },
    { operands: [x(5, 16), param(16, 16), param(16)] },
    { operands: [x(13, 31), param(17, 31), param(17)] },
    { operands: [x(6, 33), param(48, 33), param(48)] },
    { operands: [x(17, 64), param(65, 64)] },
    { operands: [x(33, 127), param(129, 127), param(129)] },
    { operands: [x(2, 3, 40), param(24, 40), param(24)] },
    { operands: [x(64, 256), param(96, 256), param(96)] },
    // Rows a multiple of 2 KiB apart, for several blocks of outputs.
    { operands: [x(41, 512), param(400, 512), param(400)] },
    { operands: [x(3, 1031), param(19, 1031), param(19)] },
    { operands: [x(129, 72), param(257, 72), param(257)] },
    { operands: [{ ...x(6, 24), within: 'columns' }, param(9, 24), param(9)] },
    { operands: [{ ...x(5, 23), within: 'columns' }, param(33, 23)], into: 'columns' },
    { operands: [{ ...x(5, 32), within: 'rows' }, param(16, 32), param(16)], into: 'rows' },
  ],
}
