// The peaks of the `avx512` family: float32, and bytes by vpdpbusd where the processor has VNNI.
#define IRODORI_FAMILY avx512
#define IRODORI_LANES 16
#include "native/cpu/peak_chains.h"

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

const Peak kFmaPeak = ChainsPeak<F, MultiplyAdd>("fma_avx512", kLanes);
const Peak kVnniPeak = ChainsPeak<I, Vnni>("int8_vnni", 64);

}  // namespace irodori::cpu::avx512
