// Products of the `avx2` family, plain, by Strassen and by Winograd: register tiles of 6 rows by
// 16 outputs.
#define IRODORI_FAMILY avx2
#define IRODORI_LANES 8
#define IRODORI_TILE_ROWS 6
#include "native/cpu/gemm/gemm_block.h"
#include "native/cpu/gemm/strassen_block.h"
#include "native/cpu/gemm/winograd_block.h"

namespace irodori::cpu::avx2 {

extern const GemmTile kGemmTile;
const GemmTile kGemmTile = {kLanes, 2, kTileRows, 96, 192, 320, 16};

void Gemm(const GemmArgs& args, int64_t block, std::byte* scratch) {
  MultiplyBlock(args, block, scratch);
}
int64_t GemmScratchSize(const GemmArgs& args) { return GemmScratchBytes(args); }

extern const GemmTile kStrassenTile;
const GemmTile kStrassenTile = {kLanes, 2, kTileRows, 128, 64, 192, 16};

void StrassenSums(const StrassenSumsArgs& args, int64_t block, std::byte* scratch) {
  StrassenSumsBlock(args, block, scratch);
}
void Strassen(const StrassenArgs& args, int64_t block, std::byte* scratch) {
  StrassenBlock(args, block, scratch);
}
int64_t StrassenScratchSize(const StrassenArgs& args) { return StrassenScratchBytes(args); }

extern const WinogradTile kWinogradTile;
const WinogradTile kWinogradTile = {48, 64, 64};

void WinogradTiles(const WinogradArgs& args, int64_t block, std::byte* scratch) {
  WinogradBlock(args, block, scratch);
}
int64_t WinogradScratchSize(const WinogradArgs& args) { return WinogradScratchBytes(args); }

}  // namespace irodori::cpu::avx2
