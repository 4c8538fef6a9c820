// The peaks of the `avx512` family: float32, and bytes by vpdpbusd where the processor has VNNI.
#define IRODORI_FAMILY avx512
#define IRODORI_LANES 16
#include "native/cpu/peak_chains.h"
#include "native/cpu/peak_fma.h"

namespace irodori::cpu::avx512 {
namespace {

struct Vnni {
  IRODORI_INLINE void Of(I& sum, const I& x) {
#ifndef IRODORI_EMULATED_UNITS
    asm("vpdpbusd %1, %1, %0" : "+v"(sum) : "v"(x));
#else
    sum += x;  // no such unit is emulated, and PeaksOf leaves it out
#endif
  }
};

}  // namespace

const Peak kFmaPeak{"fma_avx512", kFmaWork, kFmaBytes, &FmaPiece};
const Peak kVnniPeak{"int8_vnni", ChainsWork(64), kChainsBytes<I>, &ChainsPiece<I, Vnni>};

}  // namespace irodori::cpu::avx512
