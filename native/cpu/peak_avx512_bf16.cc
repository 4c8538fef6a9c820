// The peak of the `avx512_bf16` family: pairs of bf16 by VDPBF16PS.
#define IRODORI_FAMILY avx512_bf16
#define IRODORI_LANES 16
#include "native/cpu/peak.h"
#include "native/cpu/simd.h"

namespace irodori::cpu::avx512_bf16 {
namespace {

constexpr int kChains = 12;
constexpr int kRounds = 2048;
constexpr int64_t kBytes = 64 * kChains;

void Bf16Piece(std::byte* memory, int64_t) {
#ifndef IRODORI_EMULATED_UNITS
  auto* values = reinterpret_cast<F*>(memory);
  F sums[kChains];
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) sums[i] = values[i];
  const F pairs = sums[0];
  for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) {
      asm("vdpbf16ps %1, %1, %0" : "+v"(sums[i]) : "v"(pairs));
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < kChains; ++i) values[i] = sums[i];
#else
  (void)memory;  // no such unit is emulated, and PeaksOf leaves it out
#endif
}

}  // namespace

const Peak kBf16Peak{"bf16_avx512", int64_t{2} * 32 * kRounds* kChains, kBytes, &Bf16Piece};

}  // namespace irodori::cpu::avx512_bf16
