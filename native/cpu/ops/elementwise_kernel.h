// elementwise of one family: x through the epilogue. Out may be the very elements of x or of an
// operand.
#pragma once

#include "native/cpu/ops/rows_block.h"

namespace irodori::cpu::IRODORI_FAMILY {

static inline void ElementwiseBlock(const RowsArgs& args, int64_t block, std::byte* scratch) {
  const RowsBlock b = BlockOf(args, block);
  float* run = reinterpret_cast<float*>(scratch);
  const std::byte* x = RowAt(args.x, b.row);
  for (int64_t m = b.m0; m < b.m1; ++m) {
    LoadRun(run, x, args.x_dtype, m * args.x_pitch + b.n0, b.n1 - b.n0);
    FinishRun(args.finish, run, b.row, m, b.n0, b.n1 - b.n0);
  }
}

}  // namespace irodori::cpu::IRODORI_FAMILY
