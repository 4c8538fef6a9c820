// Attention of the `avx2` family.
#define IRODORI_FAMILY avx2
#define IRODORI_LANES 8
#define IRODORI_TILE_ROWS 6
#include "native/cpu/ops/attention_online.h"

namespace irodori::cpu::avx2 {

void Attention(const AttentionArgs& args, int64_t block, std::byte* scratch) {
  AttentionBlock(args, block, scratch);
}
int64_t AttentionScratchSize(const AttentionArgs& args) { return AttentionScratchBytes(args); }

}  // namespace irodori::cpu::avx2
