// The peaks of the `avx512` family: float32, and bytes by vpdpbusd where the processor has VNNI.
#define IRODORI_FAMILY avx512
#define IRODORI_LANES 16
#include "native/cpu/peak_fma.h"

namespace irodori::cpu::avx512 {
namespace {

constexpr int kVnniChains = 12;
constexpr int kVnniRounds = 2048;
constexpr int64_t kVnniBytes = 64 * kVnniChains;

void VnniPiece(std::byte* memory, int64_t) {
#ifndef IRODORI_EMULATED_UNITS
  auto* values = reinterpret_cast<I*>(memory);
  I sums[kVnniChains];
#pragma GCC unroll 12
  for (int i = 0; i < kVnniChains; ++i) sums[i] = values[i];
  const I bytes = sums[0];
  for (int round = 0; round < kVnniRounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kVnniChains; ++i) {
      asm("vpdpbusd %1, %1, %0" : "+v"(sums[i]) : "v"(bytes));
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < kVnniChains; ++i) values[i] = sums[i];
#else
  (void)memory;  // no such unit is emulated, and PeaksOf leaves it out
#endif
}

}  // namespace

const Peak kFmaPeak{"fma_avx512", kFmaWork, kFmaBytes, &FmaPiece};
const Peak kVnniPeak{"int8_vnni", int64_t{2} * 64 * kVnniRounds* kVnniChains, kVnniBytes,
                     &VnniPiece};

}  // namespace irodori::cpu::avx512
