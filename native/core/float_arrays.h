// Arrays of float16 and bfloat16 to float32 and back: the same bits as float_types.h, in loops that
// compilers turn into vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "native/core/float_types.h"

namespace irodori {

inline void FloatsFromBF16(std::span<const uint16_t> bits, float* out) {
  for (size_t i = 0; i < bits.size(); ++i) out[i] = FloatFromBF16(bits[i]);
}

// Without a branch: every value is made both as if it were normal and as if it were subnormal.
inline void FloatsFromF16(std::span<const uint16_t> bits, float* out) {
  constexpr uint32_t kRebias = uint32_t{112} << 23;
  for (size_t i = 0; i < bits.size(); ++i) {
    const uint32_t magnitude = bits[i] & 0x7fffu;
    const uint32_t normal = (magnitude << 13) + kRebias + (magnitude >= 0x7c00 ? kRebias : 0);
    const float tiny = static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f;
    const uint32_t value = magnitude < 0x400 ? std::bit_cast<uint32_t>(tiny) : normal;
    out[i] = std::bit_cast<float>(value | uint32_t{bits[i] & 0x8000u} << 16);
  }
}

// BF16FromFloat without a branch.
inline uint32_t RoundedBF16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const uint32_t quiet = (bits >> 16) | 0x40;
  return (bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded;
}

inline void BF16FromFloats(std::span<const float> values, uint16_t* out) {
  for (size_t i = 0; i < values.size(); ++i) out[i] = static_cast<uint16_t>(RoundedBF16(values[i]));
}

// Two to a word, the first in its lower half; the last of an odd number beside zero.
inline void BF16PairsFromFloats(std::span<const float> values, uint32_t* out) {
  const size_t pairs = values.size() / 2;
  for (size_t i = 0; i < pairs; ++i) {
    out[i] = RoundedBF16(values[2 * i]) | RoundedBF16(values[2 * i + 1]) << 16;
  }
  if (values.size() % 2 != 0) out[pairs] = RoundedBF16(values.back());
}

inline void F16FromFloats(std::span<const float> values, uint16_t* out) {
  for (size_t i = 0; i < values.size(); ++i) out[i] = F16FromFloat(values[i]);
}

}  // namespace irodori
