// How products of int8 are defined; the same for every backend.
//
//   w[n, k] ~ scale[n] q[n, k]       q in -127 .. 127
//   x[m, k] ~ s (p[m, k] - zero)     s = (high - low) / steps, p in -steps / 2 .. steps / 2
//
//   product of quantised x: out[m, n] = finish(s scale[n] (sum over k of p q - zero * sum of q))
//
// Weights are meant as they are used: folded, joined, with LoRAs on them. [low, high] is the range
// of x and 0 over the vector m of a matmul, over all of a row's picture of a conv2d; never over
// more than one row. q is the nearest integer of w / scale, p that of x * (steps / (high - low))
// and the integer `zero` that takes low to the least p: in float32, ties to even; x = 0 is exact.
//
// The sums are exact in 32 bits, so results do not depend on the order of their terms. Devices
// whose instructions add up in 16 bits first, four products at a time, ask for the form that leaves
// room for them; which of the two it is, is the step's attribute:
//
//   sums   steps   scale
//   32     254     max over k of |w| / 127
//   16     180     or more, where that makes the error of the weights less
//
// In the second form, of the eight terms of two neighbouring groups of four, neither the first two
// of each nor the last two have positive q, or negative ones, that add up to more than 182:
// 182 * 180 < 2^15, whatever x is. What is above that is taken off them, by ones in turns. A
// coarser scale rounds all weights by more, a finer one takes more off those few: `QuantizeWeights`
// has the least sum of both errors' squares.
//
// Activations behind SiLU or GELU lie almost all on one side of zero: a range uses the integers
// that a scale by the largest magnitude would leave empty, and halves the error of those products.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace irodori {

// Terms that one instruction of the kernels takes; channels of a quantised convolution are whole
// groups.
inline constexpr int64_t kInt8Group = 4;
// 255 * 127 * 2^16 < 2^31: also where a kernel stores p + 128, without a sign.
inline constexpr int64_t kMaxInt8Terms = 1 << 16;
inline constexpr int32_t kInt8Most = 127;
constexpr bool IsInt8Sums(int64_t sums) { return sums == 16 || sums == 32; }
constexpr int32_t Int8Steps(int64_t sums) { return sums == 16 ? 180 : 254; }
// Of sums of four q with a sign in common, where they are formed in 16 bits.
inline constexpr int32_t kInt8MostOfFour = 182;
static_assert(kInt8MostOfFour * Int8Steps(16) < 1 << 15);
// Smaller maxima and ranges count as this one: what is divided by it is finite.
inline constexpr float kInt8Least = 0x1p-100f;

// How real numbers become integers, and what one of those is worth. Where the numbers are not all
// finite the integers are 0, and the scale is NaN, so that results are.
struct Int8Scale {
  float to_int8 = 0;
  float scale = 0;
  int32_t zero = 0;
};

// Always inlined, so that no kernel family's code for it can be linked into another.
#define IRODORI_INT8_INLINE static inline __attribute__((always_inline))

// The nearest integer, ties to even, of |x| < 2^22.
IRODORI_INT8_INLINE float Int8Nearest(float x) { return (x + 12582912.0f) - 12582912.0f; }

IRODORI_INT8_INLINE Int8Scale Int8ScaleOver(float extent, float steps) {
  if (!(extent <= 0x1.fffffep127f)) return {0, __builtin_nanf(""), 0};
  const float bounded = extent < kInt8Least ? kInt8Least : extent;
  return {steps / bounded, bounded / steps, 0};
}

// Makes `q` one output's weights as integers, filled up with zeros to whole groups; returns their
// scale.
float QuantizeWeights(std::span<const float> weights, int64_t sums, std::vector<int8_t>& q);

// Of x between low <= 0 and high >= 0.
IRODORI_INT8_INLINE Int8Scale Int8ScaleOfRange(float low, float high, int64_t sums) {
  const int32_t steps = Int8Steps(sums);
  Int8Scale scale = Int8ScaleOver(high - low, static_cast<float>(steps));
  if (scale.to_int8 > 0)
    scale.zero = -steps / 2 - static_cast<int32_t>(Int8Nearest(low * scale.to_int8));
  return scale;
}

#undef IRODORI_INT8_INLINE

}  // namespace irodori
