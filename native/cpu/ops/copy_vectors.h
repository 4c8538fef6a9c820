// Moves whole vectors: out[m, :] = finish(x[source(m), :]). What embedding and resize_nearest are.
#pragma once

#include <cstring>

#include "native/cpu/planned_step.h"

namespace irodori::cpu {

struct CopyVectors {
  RowSource x;
  DType dtype;
  int64_t pitch;  // of x, elements
  int64_t columns;
  Finish finish;
  bool plain;  // same type and no epilogue: bytes are copied
};

// Scratch of one vector as float32.
inline int64_t CopyVectorsScratch(int64_t columns) { return (columns + 16) * 4; }

inline void CopyVector(const KernelTable& kernels, const CopyVectors& copy, int64_t row,
                       int64_t source, int64_t m, std::byte* scratch) {
  const std::byte* x = RowAt(copy.x, row);
  if (copy.plain) {
    const int64_t bytes = DTypeBytes(copy.dtype);
    std::memcpy(RowAt(copy.finish.out, row) + m * copy.finish.pitch * bytes,
                x + source * copy.pitch * bytes, static_cast<size_t>(copy.columns * bytes));
    return;
  }
  float* run = reinterpret_cast<float*>(scratch);
  kernels.load_run(run, x, copy.dtype, source * copy.pitch, copy.columns);
  kernels.finish_run(copy.finish, run, row, m, 0, copy.columns);
}

}  // namespace irodori::cpu
