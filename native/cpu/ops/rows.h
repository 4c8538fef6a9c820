// Args of the kernels that work vector by vector: layer_norm, rms_norm, softmax, elementwise.
//
//   out[m, :] = finish(f(x[m, :]))        x and out [M, N] per batch row, vectors `pitch` apart
//
// layer_norm: (x - mean) / sqrt(mean((x - mean)^2) + eps), two passes over the vector in float32.
// rms_norm: x / sqrt(mean(x^2) + eps). softmax: exp(x - max) / sum. elementwise: x. Affine weights
// are the first two epilogue steps. Sums run over lanes in a fixed order that depends on N and the
// family only.
//
// Job: `row_block` vectors of one batch row by `column_block` columns (all N but for elementwise).
#pragma once

#include "native/cpu/args.h"

namespace irodori::cpu {

struct RowsArgs {
  RowSource x;
  DType x_dtype = DType::kF32;
  int64_t x_pitch = 0;
  int64_t batch = 0;
  int64_t rows = 0;     // M
  int64_t columns = 0;  // N
  int64_t row_block = 0, row_blocks = 0;
  int64_t column_block = 0, column_blocks = 0;
  float eps = 0;
  Finish finish;
};

}  // namespace irodori::cpu
