// Attention of the `portable` family.
#define IRODORI_FAMILY portable
#define IRODORI_LANES 4
#define IRODORI_TILE_ROWS 4
#include "native/cpu/ops/attention_online.h"

namespace irodori::cpu::portable {

void Attention(const AttentionArgs& args, int64_t block, std::byte* scratch) {
  AttentionBlock(args, block, scratch);
}
int64_t AttentionScratchSize(const AttentionArgs& args) { return AttentionScratchBytes(args); }

}  // namespace irodori::cpu::portable
