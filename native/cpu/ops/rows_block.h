// A job of the vector-by-vector kernels, for one family: which vectors and columns a block is.
#pragma once

#include "native/cpu/finish.h"
#include "native/cpu/ops/rows.h"

namespace irodori::cpu::IRODORI_FAMILY {

struct RowsBlock {
  int64_t row, m0, m1, n0, n1;
};
IRODORI_INLINE RowsBlock BlockOf(const RowsArgs& args, int64_t block) {
  RowsBlock b;
  b.n0 = block % args.column_blocks * args.column_block;
  b.n1 = MinOf(b.n0 + args.column_block, args.columns);
  const int64_t rows = block / args.column_blocks;
  b.m0 = rows % args.row_blocks * args.row_block;
  b.m1 = MinOf(b.m0 + args.row_block, args.rows);
  b.row = rows / args.row_blocks;
  return b;
}

// The sum of term(x[i]) in four independent sums of vectors.
template <typename Term>
IRODORI_INLINE float SumOver(const float* x, int64_t n, Term term) {
  F sums[4] = {};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) sums[j] = sums[j] + term(Load(x + i + j * kLanes));
  }
  for (; i + kLanes <= n; i += kLanes) sums[0] = sums[0] + term(Load(x + i));
  if (i < n) {
    float lanes[kLanes];
    Store(lanes, term(LoadFirst(x + i, n - i)));
    for (int64_t lane = n - i; lane < kLanes; ++lane) lanes[lane] = 0;
    sums[1] = sums[1] + Load(lanes);
  }
  return ReduceSum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

// Scratch of a job: one vector as float32.
static inline int64_t RowsScratchBytes(const RowsArgs& args) {
  return (args.column_block + kRunSlack) * static_cast<int64_t>(sizeof(float));
}

}  // namespace irodori::cpu::IRODORI_FAMILY
