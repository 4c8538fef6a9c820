// Products of int8 of the `avx2` family: vpmaddubsw, vpmaddwd, vpaddd over tiles of 4 rows by 16
// outputs.
//
// vpmaddubsw saturates the sum of two products in 16 bits: with x in 0 .. 255 it would lie as far
// out as 2 * 255 * 127. x in 7 bits, 0 .. 127, is at most 2 * 127 * 127 < 2^15: exact, and what the
// device asks for. x in 8 bits goes through |x| (sign(x) w), exact for the same reason: a vpsignb
// more for each product, half the error (docs/performance.md).
#define IRODORI_FAMILY avx2
#define IRODORI_LANES 8
#define IRODORI_TILE_ROWS 6
#include "native/cpu/gemm/int8_block.h"

namespace irodori::cpu::avx2 {
namespace {

IRODORI_INLINE I AddPairs(I sum, __m256i x, __m256i w) {
  return sum + (I)_mm256_madd_epi16(_mm256_maddubs_epi16(x, w), _mm256_set1_epi16(1));
}

struct SignUnit {
  static constexpr int kOffset = 0;
  static constexpr int kTemporaries = 4;
  IRODORI_INLINE I Of(I sum, I x, I w) {
    return AddPairs(sum, _mm256_abs_epi8((__m256i)x), _mm256_sign_epi8((__m256i)w, (__m256i)x));
  }
};

struct UnsignedUnit {
  static constexpr int kOffset = 0;
  static constexpr int kTemporaries = 3;
  IRODORI_INLINE I Of(I sum, I x, I w) { return AddPairs(sum, (__m256i)x, (__m256i)w); }
};

}  // namespace

extern const Int8Table kInt8Table;
const Int8Table kInt8Table = MakeInt8Table<SignUnit, 4, UnsignedUnit>({kLanes, 2, 4, 96, 192, 512});

}  // namespace irodori::cpu::avx2
