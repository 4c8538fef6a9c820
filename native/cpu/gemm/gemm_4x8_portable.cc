// Products of the `portable` family, plain, by Strassen and by Winograd: register tiles of 4 rows
// by 8 outputs.
#define IRODORI_FAMILY portable
#define IRODORI_LANES 4
#define IRODORI_TILE_ROWS 4
#include "native/cpu/gemm/gemm_block.h"
#include "native/cpu/gemm/strassen_block.h"
#include "native/cpu/gemm/winograd_block.h"

namespace irodori::cpu::portable {

extern const GemmTile kGemmTile;
const GemmTile kGemmTile = {kLanes, 2, kTileRows, 64, 128, 256, 4};

void Gemm(const GemmArgs& args, int64_t block, std::byte* scratch) {
  MultiplyBlock(args, block, scratch);
}
int64_t GemmScratchSize(const GemmArgs& args) { return GemmScratchBytes(args); }

extern const GemmTile kStrassenTile;
const GemmTile kStrassenTile = {kLanes, 2, kTileRows, 64, 64, 128};

void StrassenSums(const StrassenSumsArgs& args, int64_t block, std::byte* scratch) {
  StrassenSumsBlock(args, block, scratch);
}
void Strassen(const StrassenArgs& args, int64_t block, std::byte* scratch) {
  StrassenBlock(args, block, scratch);
}
int64_t StrassenScratchSize(const StrassenArgs& args) { return StrassenScratchBytes(args); }

extern const WinogradTile kWinogradTile;
const WinogradTile kWinogradTile = {32, 64, 64};

void WinogradTiles(const WinogradArgs& args, int64_t block, std::byte* scratch) {
  WinogradBlock(args, block, scratch);
}
int64_t WinogradScratchSize(const WinogradArgs& args) { return WinogradScratchBytes(args); }

}  // namespace irodori::cpu::portable
