// The peaks of the `avx2` family: float32, and bytes by vpmaddubsw, vpmaddwd and vpaddd.
#define IRODORI_FAMILY avx2
#define IRODORI_LANES 8
#include "native/cpu/peak_fma.h"

namespace irodori::cpu::avx2 {
namespace {

constexpr int kInt8Chains = 10;
constexpr int kInt8Rounds = 2048;
constexpr int64_t kInt8Bytes = 32 * (kInt8Chains + 1);

void Int8Piece(std::byte* memory, int64_t) {
  auto* values = reinterpret_cast<__m256i*>(memory);
  __m256i sums[kInt8Chains];
#pragma GCC unroll 10
  for (int i = 0; i < kInt8Chains; ++i) sums[i] = _mm256_load_si256(values + i);
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i bytes = _mm256_load_si256(values + kInt8Chains);
  for (int round = 0; round < kInt8Rounds; ++round) {
#pragma GCC unroll 10
    for (int i = 0; i < kInt8Chains; ++i) {
      asm("" : "+x"(bytes));  // else the products would be the same for all
      const __m256i pairs = _mm256_maddubs_epi16(bytes, bytes);
      sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(pairs, ones));
    }
  }
#pragma GCC unroll 10
  for (int i = 0; i < kInt8Chains; ++i) _mm256_store_si256(values + i, sums[i]);
}

}  // namespace

const Peak kFmaPeak{"fma_avx2", kFmaWork, kFmaBytes, &FmaPiece};
const Peak kInt8Peak{"int8_avx2", int64_t{2} * 32 * kInt8Rounds* kInt8Chains, kInt8Bytes,
                     &Int8Piece};

}  // namespace irodori::cpu::avx2
