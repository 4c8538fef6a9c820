// Bilinear resize: Args and equation. Kernel in resize_bilinear_kernel.h.
//
//   out[i, j] = finish(h0 (w0 x[y0, x0] + w1 x[y0, x1]) + h1 (w0 x[y1, x0] + w1 x[y1, x1]))
//
// Along an axis the source place is i (H - 1) / (H' - 1) with align_corners, else max(0, (i + 1/2)
// H / H' - 1/2), in float32. A job owns one output row of pixels.
#pragma once

#include "native/cpu/args.h"

namespace irodori::cpu {

// Source of one output place along an axis.
struct ResizeTap {
  int64_t first, second;
  float first_weight, second_weight;
};

struct ResizeBilinearArgs {
  RowSource x;
  DType x_dtype = DType::kF32;
  int64_t x_pitch = 0;
  int64_t in_w = 0;
  int64_t batch = 0;
  int64_t out_h = 0, out_w = 0, channels = 0;
  const ResizeTap* rows = nullptr;     // [out_h]
  const ResizeTap* columns = nullptr;  // [out_w]
  Finish finish;
};

}  // namespace irodori::cpu
