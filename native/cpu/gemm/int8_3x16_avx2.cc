// Products of int8 of the `avx2` family: vpmaddubsw, vpmaddwd, vpaddd over tiles of 3 rows by 16
// outputs.
//
// vpmaddubsw adds up two products in 16 bits, where it saturates: with x in 0 .. 255 and any
// weights they would lie as far out as 2 * 255 * 127. Weights made for sums in 16 bits leave room
// for four products, so that two of its results are added before vpmaddwd widens them: five
// instructions for 64 products. Weights of the other form go through |x| (sign(x) w), |x| <= 127,
// exact for two products: four instructions for 32, over 4 rows. No device asks for it
// (docs/performance.md).
#define IRODORI_FAMILY avx2
#define IRODORI_LANES 8
#define IRODORI_TILE_ROWS 6
#include "native/cpu/gemm/int8_block.h"

namespace irodori::cpu::avx2 {
namespace {

// Sums of 16 bits to those of 32 beside them.
IRODORI_INLINE I AddPairs(I sum, __m256i pairs) {
  return sum + (I)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

struct SignUnit {
  static constexpr int kOffset = 0;
  static constexpr int kGroups = 1;
  static constexpr int kTemporaries = 4;
  IRODORI_INLINE I Of(I sum, I x, I w) {
    return AddPairs(sum, _mm256_maddubs_epi16(_mm256_abs_epi8((__m256i)x),
                                              _mm256_sign_epi8((__m256i)w, (__m256i)x)));
  }
};

struct Sums16Unit {
  static constexpr int kOffset = Int8Steps(16) / 2;
  static constexpr int kGroups = 2;
  static constexpr int kTemporaries = 4;
  IRODORI_INLINE __m256i Pairs(I x, I w) { return _mm256_maddubs_epi16((__m256i)x, (__m256i)w); }
  IRODORI_INLINE I Of(I sum, I x, I w) { return AddPairs(sum, Pairs(x, w)); }
  IRODORI_INLINE I Of(I sum, I x, I w, I next_x, I next_w) {
    return AddPairs(sum, _mm256_add_epi16(Pairs(x, w), Pairs(next_x, next_w)));
  }
};

}  // namespace

extern const Int8Table kInt8Table;
const Int8Table kInt8Table = MakeInt8Table(
    {kLanes, 2, 4, 96, 192, 512}, MakeInt8Product<SignUnit, 4>(), MakeInt8Product<Sums16Unit, 3>());

}  // namespace irodori::cpu::avx2
