// The peaks of the `avx2` family: float32, and bytes as int8_3x16_avx2.cc multiplies them.
#define IRODORI_FAMILY avx2
#define IRODORI_LANES 8
#include "native/cpu/peak_chains.h"

namespace irodori::cpu::avx2 {
namespace {

struct Sums16 {
  IRODORI_INLINE void Of(I& sum, I& x) {
    asm("" : "+x"(x));  // else the products would be the same for all
    const __m256i pairs = _mm256_maddubs_epi16((__m256i)x, (__m256i)x);
    asm("" : "+x"(x));
    const __m256i others = _mm256_maddubs_epi16((__m256i)x, (__m256i)x);
    sum += (I)_mm256_madd_epi16(_mm256_add_epi16(pairs, others), _mm256_set1_epi16(1));
  }
};

}  // namespace

const Peak kFmaPeak = ChainsPeak<F, MultiplyAdd>("fma_avx2", kLanes);
const Peak kInt8Peak = ChainsPeak<I, Sums16>("int8_avx2", 64);

}  // namespace irodori::cpu::avx2
