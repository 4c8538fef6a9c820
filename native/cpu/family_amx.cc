// The `amx` kernel family: products of bf16 and int8 and attention through matrix tiles, everything
// else as `avx512`.
#include "native/cpu/cpu_features.h"
#include "native/cpu/family.h"

namespace irodori::cpu {

namespace amx {
void GemmTiles(const GemmArgs& args, int64_t block, std::byte* scratch);
int64_t GemmTilesScratch(const GemmArgs& args);
void TileAttentionPack(const AttentionArgs& args, int64_t block, std::byte* scratch);
void TileAttention(const AttentionArgs& args, int64_t block, std::byte* scratch);
int64_t TileAttentionBytes(const AttentionArgs& args);
int64_t TileAttentionScratchSize(const AttentionArgs& args);
extern const Int8Table kInt8Table;
}  // namespace amx

const KernelTable& AmxKernels() {
  static const KernelTable table = [] {
    KernelTable kernels = Avx512Kernels();
    kernels.name = "amx";
    kernels.tile_bf16 = {16, 32, 32, 128, 256, 1024};
    kernels.gemm_bf16 = &amx::GemmTiles;
    kernels.gemm_bf16_scratch = &amx::GemmTilesScratch;
    kernels.attention_bf16_pack = &amx::TileAttentionPack;
    kernels.attention_bf16 = &amx::TileAttention;
    kernels.attention_bf16_bytes = &amx::TileAttentionBytes;
    kernels.attention_bf16_scratch = &amx::TileAttentionScratchSize;
#ifdef IRODORI_EMULATED_UNITS
    const bool int8 = true;
#else
    const bool int8 = DetectCpu().amx_int8;
#endif
    if (int8) kernels.int8 = &amx::kInt8Table;
    return kernels;
  }();
  return table;
}

}  // namespace irodori::cpu
