// softmax of one family, over the last axis.
#pragma once

#include "native/cpu/ops/rows_block.h"

namespace irodori::cpu::IRODORI_FAMILY {

static inline void SoftmaxBlock(const RowsArgs& args, int64_t block, std::byte* scratch) {
  const RowsBlock b = BlockOf(args, block);
  float* run = reinterpret_cast<float*>(scratch);
  const int64_t n = args.columns;
  const std::byte* x = RowAt(args.x, b.row);
  for (int64_t m = b.m0; m < b.m1; ++m) {
    LoadRun(run, x, args.x_dtype, m * args.x_pitch, n);
    float largest = run[0];
    for (int64_t i = 1; i < n; ++i) largest = largest < run[i] ? run[i] : largest;
    const F shift = Splat(largest);
    for (int64_t i = 0; i < n; i += kLanes) Store(run + i, Exp(Load(run + i) - shift));
    const F sum = Splat(SumOver(run, n, [](F v) { return v; }));
    for (int64_t i = 0; i < n; i += kLanes) Store(run + i, Load(run + i) / sum);
    FinishRun(args.finish, run, b.row, m, 0, n);
  }
}

}  // namespace irodori::cpu::IRODORI_FAMILY
