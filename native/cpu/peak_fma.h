// Float32 multiply-adds of one family at their full rate: chains that do not wait for each other.
//
// Included only by the files `peak_<family>.cc`, as native/cpu/simd.h is.
#pragma once

#include "native/cpu/peak.h"
#include "native/cpu/simd.h"

namespace irodori::cpu::IRODORI_FAMILY {

// More than latency times units of every processor (4 x 2, 5 x 2); with two operands they fit the
// sixteen registers of AVX2.
inline constexpr int kFmaChains = 12;
inline constexpr int kFmaRounds = 2048;  // of all chains; about ten microseconds

static void FmaPiece(std::byte* memory, int64_t) {
  auto* values = reinterpret_cast<float*>(memory);
  F chains[kFmaChains];
#pragma GCC unroll 12
  for (int i = 0; i < kFmaChains; ++i) chains[i] = Load(values + i * kLanes);
  // Values stay between 0.01 and 0.1: no subnormals, which are slower.
  const F a = Splat(0.999f), b = Splat(1e-4f);
  for (int round = 0; round < kFmaRounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kFmaChains; ++i) chains[i] = Fma(chains[i], a, b);
  }
#pragma GCC unroll 12
  for (int i = 0; i < kFmaChains; ++i) Store(values + i * kLanes, chains[i]);
}

inline constexpr int64_t kFmaWork = int64_t{2} * kFmaRounds * kFmaChains * kLanes;
inline constexpr int64_t kFmaBytes = int64_t{4} * kFmaChains * kLanes;

}  // namespace irodori::cpu::IRODORI_FAMILY
