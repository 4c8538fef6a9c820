// Instructions that add products to a vector, at their full rate: chains that do not wait for each
// other.
//
// Included only by the files `peak_<family>.cc`, as native/cpu/simd.h is.
#pragma once

#include "native/cpu/peak.h"
#include "native/cpu/simd.h"

namespace irodori::cpu::IRODORI_FAMILY {

// More than latency times units of every processor (4 x 2, 5 x 2); with operands they fit the
// sixteen registers of AVX2.
inline constexpr int kChains = 12;
inline constexpr int kChainRounds = 2048;  // of all chains; about ten microseconds

// Instructions::Of(sum, x): sum + the products of x with itself; x is the memory's last vector.
template <typename V, typename Instructions>
static void ChainsPiece(std::byte* memory, int64_t) {
  auto* values = reinterpret_cast<V*>(memory);
  V sums[kChains];
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) sums[i] = values[i];
  V x = values[kChains];
  for (int round = 0; round < kChainRounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) Instructions::Of(sums[i], x);
  }
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) values[i] = sums[i];
}

// A peak of instructions that form so many products in one chain's turn.
template <typename V, typename Instructions>
constexpr Peak ChainsPeak(const char* name, int64_t products) {
  return {name, 2 * products * kChainRounds * kChains, int64_t{sizeof(V)} * (kChains + 1),
          &ChainsPiece<V, Instructions>};
}

// Float32 multiply-adds. Values stay between 0.01 and 0.1: no subnormals, which are slower.
struct MultiplyAdd {
  IRODORI_INLINE void Of(F& sum, const F&) { sum = Fma(sum, Splat(0.999f), Splat(1e-4f)); }
};

}  // namespace irodori::cpu::IRODORI_FAMILY
