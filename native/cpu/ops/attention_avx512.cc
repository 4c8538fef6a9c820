// Attention of the `avx512` family.
#define IRODORI_FAMILY avx512
#define IRODORI_LANES 16
#ifdef IRODORI_EMULATED_UNITS
#define IRODORI_TILE_ROWS 3  // as in gemm_12x32_avx512.cc
#else
#define IRODORI_TILE_ROWS 12
#endif
#include "native/cpu/ops/attention_online.h"

namespace irodori::cpu::avx512 {

void Attention(const AttentionArgs& args, int64_t block, std::byte* scratch) {
  AttentionBlock(args, block, scratch);
}
int64_t AttentionScratchSize(const AttentionArgs& args) { return AttentionScratchBytes(args); }

}  // namespace irodori::cpu::avx512
