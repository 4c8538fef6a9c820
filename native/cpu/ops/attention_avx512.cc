// Attention of the `avx512` family.
#define IRODORI_FAMILY avx512
#define IRODORI_LANES 16
#define IRODORI_TILE_ROWS 12
#include "native/cpu/ops/attention_online.h"

namespace irodori::cpu::avx512 {

void Attention(const AttentionArgs& args, int64_t block, std::byte* scratch) {
  AttentionBlock(args, block, scratch);
}
int64_t AttentionScratchSize(const AttentionArgs& args) { return AttentionScratchBytes(args); }

}  // namespace irodori::cpu::avx512
