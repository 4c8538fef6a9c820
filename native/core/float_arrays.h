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

void FloatsFromF16(std::span<const uint16_t> bits, float* out);

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

void F16FromFloats(std::span<const float> values, uint16_t* out);

}  // namespace irodori
