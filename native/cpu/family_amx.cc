// The `amx` kernel family: bf16 products through matrix tiles, everything else as `avx512`.
#include "native/cpu/family.h"

namespace irodori::cpu {

namespace amx {
void GemmTiles(const GemmArgs& args, int64_t block, std::byte* scratch);
int64_t GemmTilesScratch(const GemmArgs& args);
}  // namespace amx

const KernelTable& AmxKernels() {
  static const KernelTable table = [] {
    KernelTable kernels = Avx512Kernels();
    kernels.name = "amx";
    kernels.tile_bf16 = {16, 32, 32, 128, 256, 1024};
    kernels.gemm_bf16 = &amx::GemmTiles;
    kernels.gemm_bf16_scratch = &amx::GemmTilesScratch;
    return kernels;
  }();
  return table;
}

}  // namespace irodori::cpu
