// Group norm over pixels and the channels of a group: Args and equation. Kernel in
// group_norm_kernel.h.
//
//   out[p, c] = finish((x[p, c] - mean_g) / sqrt(var_g + eps)),   g = c / (C / groups), biased
//   variance
//
// Three phases. Statistics: a job owns `pixel_block` pixels of a batch row and leaves mean and sum
// of squared deviations of every group in them (two passes, float32). Merge: blocks are put
// together in order, in float64 (Chan, Golub and LeVeque 1979). Apply: a job owns `pixel_block`
// pixels. pixel_block is part of the program's reduction schedule.
#pragma once

#include "native/cpu/args.h"

namespace irodori::cpu {

struct GroupNormArgs {
  RowSource x;
  DType x_dtype = DType::kF32;
  int64_t x_pitch = 0;
  int64_t batch = 0;
  int64_t pixels = 0;
  int64_t channels = 0;
  int64_t groups = 0;
  int64_t pixel_block = 0, pixel_blocks = 0;
  float eps = 0;
  float* partials = nullptr;  // [batch, pixel_blocks, groups, 2]: mean, squared deviations
  float* moments =
      nullptr;  // [batch, 2, channels + 16]: mean, 1 / sqrt(var + eps) of each channel's group
  Finish finish;
};

}  // namespace irodori::cpu
