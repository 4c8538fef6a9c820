// layer_norm of one family: two passes over a vector that lies in L1 as float32.
#pragma once

#include "native/cpu/ops/rows_block.h"

namespace irodori::cpu::IRODORI_FAMILY {

static inline void LayerNormBlock(const RowsArgs& args, int64_t block, std::byte* scratch) {
  const RowsBlock b = BlockOf(args, block);
  float* run = reinterpret_cast<float*>(scratch);
  const int64_t n = args.columns;
  const std::byte* x = RowAt(args.x, b.row);
  for (int64_t m = b.m0; m < b.m1; ++m) {
    LoadRun(run, x, args.x_dtype, m * args.x_pitch, n);
    const float mean = SumOver(run, n, [](F v) { return v; }) / static_cast<float>(n);
    const F center = Splat(mean);
    const float squares = SumOver(run, n, [center](F v) { return (v - center) * (v - center); });
    const float deviation = __builtin_sqrtf(squares / static_cast<float>(n) + args.eps);
    const F scale = Splat(1.0f / deviation);
    for (int64_t i = 0; i < n; i += kLanes) Store(run + i, (Load(run + i) - center) * scale);
    FinishRun(args.finish, run, b.row, m, 0, n);
  }
}

}  // namespace irodori::cpu::IRODORI_FAMILY
