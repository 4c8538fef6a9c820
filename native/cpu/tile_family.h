// What a family with a tile unit puts in place of its products and attention in bf16.
// IRODORI_FAMILY says whose.
#pragma once

#include "native/cpu/family.h"

namespace irodori::cpu::IRODORI_FAMILY {

void GemmTiles(const GemmArgs& args, int64_t block, std::byte* scratch);
int64_t GemmTilesScratch(const GemmArgs& args);
void TileAttentionPack(const AttentionArgs& args, int64_t block, std::byte* scratch);
void TileAttention(const AttentionArgs& args, int64_t block, std::byte* scratch);
int64_t TileAttentionBytes(const AttentionArgs& args);
int64_t TileAttentionScratchSize(const AttentionArgs& args);

// The kernels of `avx512`, with tiles.
inline KernelTable WithTiles(const char* name) {
  KernelTable kernels = Avx512Kernels();
  kernels.name = name;
  kernels.tile_bf16 = {16, 32, 32, 128, 320, 1280};
  kernels.tile_bf16.term_bytes = 2;
  kernels.gemm_bf16 = &GemmTiles;
  kernels.gemm_bf16_scratch = &GemmTilesScratch;
  kernels.attention_bf16_pack = &TileAttentionPack;
  kernels.attention_bf16 = &TileAttention;
  kernels.attention_bf16_bytes = &TileAttentionBytes;
  kernels.attention_bf16_scratch = &TileAttentionScratchSize;
  return kernels;
}

}  // namespace irodori::cpu::IRODORI_FAMILY
