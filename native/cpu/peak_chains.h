// One instruction that adds products to a vector, at its full rate: chains that do not wait for
// each other.
//
// Included only by the files `peak_<family>.cc`, as native/cpu/simd.h is.
#pragma once

#include "native/cpu/peak.h"
#include "native/cpu/simd.h"

namespace irodori::cpu::IRODORI_FAMILY {

inline constexpr int kChains = 12;
inline constexpr int kChainRounds = 2048;  // of all chains; about ten microseconds

// Instruction::Of(sum, x): sum + the products of x with itself.
template <typename V, typename Instruction>
static void ChainsPiece(std::byte* memory, int64_t) {
  auto* values = reinterpret_cast<V*>(memory);
  V sums[kChains];
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) sums[i] = values[i];
  const V x = sums[0];
  for (int round = 0; round < kChainRounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) Instruction::Of(sums[i], x);
  }
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) values[i] = sums[i];
}

template <typename V>
inline constexpr int64_t kChainsBytes = int64_t{sizeof(V)} * kChains;
// Operations of a piece, of an instruction with that many products.
constexpr int64_t ChainsWork(int64_t products) { return 2 * products * kChainRounds * kChains; }

}  // namespace irodori::cpu::IRODORI_FAMILY
