// How products of int8 are defined; the same for every backend.
//
//   w[n, k] ~ scale[n] q[n, k]    scale = max over k of |w[n, k]| / 127, of the weights as they are
//                                 used: folded, joined, with LoRAs on them
//   x[m, k] ~ s(m) p[m, k]        s = max |x| / 127, over the vector m of a matmul, over all of a
//                                 row's picture of a conv2d; never over more than one row
//   q, p = the nearest integer of value * (127 / max), in float32, ties to even; |q|, |p| <= 127
//
//   matmul of quantised x: out[m, n] = finish(s(m) scale[n] sum over k of p[m, k] q[n, k])
//
// The sum is exact in 32 bits, so results do not depend on the order of its terms.
#pragma once

#include <cstdint>

namespace irodori {

// Terms that one instruction of the kernels takes; channels of a quantised convolution are whole
// groups.
inline constexpr int64_t kInt8Group = 4;
// 255 * 127 * 2^16 < 2^31: also where the kernel stores p + 128 without a sign.
inline constexpr int64_t kMaxInt8Terms = 1 << 16;
inline constexpr float kInt8Most = 127;
// Smaller maxima count as this one: 127 divided by it is finite.
inline constexpr float kInt8Least = 0x1p-100f;

// What values with a largest magnitude of `most` are multiplied with; and what the integers are.
// Of a vector with an infinity or a NaN all integers are 0, and the scale is NaN, so that results
// are.
struct Int8Scale {
  float to_int8;
  float scale;
};
// Always inlined, so that no kernel family's code for it can be linked into another.
static inline __attribute__((always_inline)) Int8Scale Int8ScaleOf(float most) {
  if (!(most <= 0x1.fffffep127f)) return {0, __builtin_nanf("")};
  const float bounded = most < kInt8Least ? kInt8Least : most;
  return {kInt8Most / bounded, bounded / kInt8Most};
}

}  // namespace irodori
