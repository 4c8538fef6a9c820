// The matrix product of the `avx512` family: register tiles of 12 rows by 32 outputs.
#define IRODORI_FAMILY avx512
#define IRODORI_LANES 16
#define IRODORI_TILE_ROWS 12
#include "native/cpu/gemm/gemm_block.h"

namespace irodori::cpu::avx512 {

extern const GemmTile kGemmTile;
const GemmTile kGemmTile = {kLanes, kTileRows};

void Gemm(const GemmArgs& args, int64_t block, std::byte* scratch) { GemmBlock(args, block, scratch); }
int64_t GemmScratchSize(const GemmArgs& args) { return GemmScratchBytes(args); }

}  // namespace irodori::cpu::avx512
