// The angle of one sinusoid of a timestep embedding, in the float32 steps that PyTorch takes.
//
// The steps are part of the op: a frequency rounded to float32 moves the angle of t = 999 by up to
// 3e-5, so an embedding in exact arithmetic differs from the one that networks were trained with by
// 1e-5 (relative L2), all tolerance there is.
#pragma once

#include <cmath>
#include <cstdint>

namespace irodori {

// scale · (t · exp(-ln(max_period) · i / (half - shift))) for i < half.
inline float TimestepAngle(float t, int64_t i, int64_t half, double shift, double scale,
                           double max_period) {
  const float numerator = static_cast<float>(-std::log(max_period)) * static_cast<float>(i);
  const float exponent = numerator / static_cast<float>(static_cast<double>(half) - shift);
  const float frequency = static_cast<float>(std::exp(static_cast<double>(exponent)));
  const float angle = t * frequency;
  return static_cast<float>(scale) * angle;
}

}  // namespace irodori
