// The peak of the `avx512_bf16` family: pairs of bf16 by VDPBF16PS.
#define IRODORI_FAMILY avx512_bf16
#define IRODORI_LANES 16
#include "native/cpu/peak_chains.h"

namespace irodori::cpu::avx512_bf16 {
namespace {

struct Bf16Pairs {
  IRODORI_INLINE void Of(F& sum, const F& x) {
#ifndef IRODORI_EMULATED_UNITS
    asm("vdpbf16ps %1, %1, %0" : "+v"(sum) : "v"(x));
#else
    sum += x;  // no such unit is emulated, and PeaksOf leaves it out
#endif
  }
};

}  // namespace

const Peak kBf16Peak = ChainsPeak<F, Bf16Pairs>("bf16_avx512", 32);

}  // namespace irodori::cpu::avx512_bf16
