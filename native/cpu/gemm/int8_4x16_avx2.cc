// Products of int8 of the `avx2` family: vpmaddubsw of |x| and of the weights with the sign of x,
// tiles of 4 rows by 16 outputs.
//
// vpmaddubsw saturates the sum of two products in 16 bits: with x in 0 .. 255 it would lie as far
// out as 2 * 255 * 127. As |x| and |w| are at most 127, |x| (sign(x) w) is at most 2 * 127 * 127
// < 2^15: exact, with all eight bits of x and the integers of the other families. It costs a
// vpsignb for each vpmaddubsw, vpmaddwd and vpaddd; x in seven bits, 0 .. 127 from its smallest to
// its largest value, would do without and have twice the error (docs/performance.md).
#define IRODORI_FAMILY avx2
#define IRODORI_LANES 8
#define IRODORI_TILE_ROWS 6
#include "native/cpu/gemm/int8_block.h"

namespace irodori::cpu::avx2 {
namespace {

struct SignUnit {
  static constexpr int kOffset = 0;
  static constexpr int kTemporaries = 4;
  IRODORI_INLINE I Of(I sum, I x, I w) {
    const __m256i signed_w = _mm256_sign_epi8((__m256i)w, (__m256i)x);
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8((__m256i)x), signed_w);
    return sum + (I)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
  }
};

}  // namespace

extern const Int8Table kInt8Table;
const Int8Table kInt8Table = MakeInt8Table<SignUnit, 4>({kLanes, 2, 4, 96, 192, 512});

}  // namespace irodori::cpu::avx2
