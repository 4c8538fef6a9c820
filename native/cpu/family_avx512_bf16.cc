// The `avx512_bf16` kernel family: products and attention in bf16 through tiles of vectors,
// everything else, int8 too, as `avx512`.
#include "native/cpu/family.h"

namespace irodori::cpu {

namespace avx512_bf16 {
void GemmTiles(const GemmArgs& args, int64_t block, std::byte* scratch);
int64_t GemmTilesScratch(const GemmArgs& args);
void TileAttentionPack(const AttentionArgs& args, int64_t block, std::byte* scratch);
void TileAttention(const AttentionArgs& args, int64_t block, std::byte* scratch);
int64_t TileAttentionBytes(const AttentionArgs& args);
int64_t TileAttentionScratchSize(const AttentionArgs& args);
}  // namespace avx512_bf16

const KernelTable& Avx512Bf16Kernels() {
  static const KernelTable table = [] {
    KernelTable kernels = Avx512Kernels();
    kernels.name = "avx512_bf16";
    kernels.tile_bf16 = {16, 32, 32, 128, 256, 1024};
    kernels.gemm_bf16 = &avx512_bf16::GemmTiles;
    kernels.gemm_bf16_scratch = &avx512_bf16::GemmTilesScratch;
    kernels.attention_bf16_pack = &avx512_bf16::TileAttentionPack;
    kernels.attention_bf16 = &avx512_bf16::TileAttention;
    kernels.attention_bf16_bytes = &avx512_bf16::TileAttentionBytes;
    kernels.attention_bf16_scratch = &avx512_bf16::TileAttentionScratchSize;
    return kernels;
  }();
  return table;
}

}  // namespace irodori::cpu
