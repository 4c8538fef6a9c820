// Sinusoidal embedding of t, Vaswani et al. 2017 (arXiv:1706.03762), section 3.5, as diffusion
// models use it: angle_i = scale · t · maxPeriod^(-i / (half - shift)) for i < half = dim / 2;
// sines first, or cosines with flip. An odd dim ends with a zero.
#include <cmath>

#include "native/core/timestep_angle.h"
#include "native/cpu/reference/kernels.h"

namespace irodori::reference {

Status TimestepEmbedding(const KernelArgs& args, Values& y) {
  const float t = static_cast<float>(args.operands[0]->data[0]);
  const bool flip = args.integer(0) == 1;
  const double shift = args.attr(1), scale = args.attr(2), max_period = args.attr(3);
  const int64_t half = y.columns() / 2;
  y.data.back() = 0;
  for (int64_t i = 0; i < half; ++i) {
    const double angle = TimestepAngle(t, i, half, shift, scale, max_period);
    y.data[i] = flip ? std::cos(angle) : std::sin(angle);
    y.data[half + i] = flip ? std::sin(angle) : std::cos(angle);
  }
  return Status::Ok();
}

}  // namespace irodori::reference
