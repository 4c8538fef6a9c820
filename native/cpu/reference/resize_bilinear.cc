// Bilinear: output pixel i samples x at i · (H - 1) / (H' - 1) with align_corners, else at (i +
// 1/2) · H / H' - 1/2, not below 0; the sample is the weighted mean of the four pixels around it,
// the last row and column repeated.
#include <algorithm>
#include <cmath>

#include "native/cpu/reference/kernels.h"

namespace irodori::reference {

namespace {

// The two source positions of an output position and the weight of the second.
struct Sample {
  int64_t low;
  int64_t high;
  double weight;
};

Sample SampleAt(int64_t i, int64_t in, int64_t out, bool align_corners) {
  double position;
  if (align_corners) {
    position = out == 1 ? 0
                        : static_cast<double>(i) * static_cast<double>(in - 1) /
                              static_cast<double>(out - 1);
  } else {
    position =
        (static_cast<double>(i) + 0.5) * static_cast<double>(in) / static_cast<double>(out) - 0.5;
  }
  position = std::max(position, 0.0);
  const int64_t low = std::min(static_cast<int64_t>(position), in - 1);
  return {low, std::min(low + 1, in - 1), position - static_cast<double>(low)};
}

}  // namespace

Status ResizeBilinear(const KernelArgs& args, Values& y) {
  const Values& x = *args.operands[0];  // [H, W, C]
  const int64_t H = x.shape[0], W = x.shape[1], C = x.shape[2];
  const bool align_corners = args.integer(0) == 1;
  const int64_t out_h = y.shape[0], out_w = y.shape[1];
  for (int64_t i = 0; i < out_h; ++i) {
    IRODORI_RETURN_IF_ERROR(CheckAbort(args.abort));
    const Sample v = SampleAt(i, H, out_h, align_corners);
    for (int64_t j = 0; j < out_w; ++j) {
      const Sample u = SampleAt(j, W, out_w, align_corners);
      for (int64_t c = 0; c < C; ++c) {
        const auto pixel = [&](int64_t h, int64_t w) { return x.data[(h * W + w) * C + c]; };
        const double top = pixel(v.low, u.low) * (1 - u.weight) + pixel(v.low, u.high) * u.weight;
        const double bottom =
            pixel(v.high, u.low) * (1 - u.weight) + pixel(v.high, u.high) * u.weight;
        y.data[(i * out_w + j) * C + c] = top * (1 - v.weight) + bottom * v.weight;
      }
    }
  }
  return Status::Ok();
}

}  // namespace irodori::reference
