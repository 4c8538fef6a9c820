// Products of the `avx512` family, plain, by Strassen and by Winograd: register tiles of 12 rows by
// 32 outputs.
#define IRODORI_FAMILY avx512
#define IRODORI_LANES 16
#ifdef IRODORI_EMULATED_UNITS
#define IRODORI_TILE_ROWS \
  3  // half the registers, and a third of the time to compile; no bit depends on it
#else
#define IRODORI_TILE_ROWS 12
#endif
#include "native/cpu/gemm/gemm_block.h"
#include "native/cpu/gemm/strassen_block.h"
#include "native/cpu/gemm/winograd_block.h"

namespace irodori::cpu::avx512 {

// bf16 panels are filled up to the 32 terms of an AMX tile: `amx` shares them.
extern const GemmTile kGemmTile;
const GemmTile kGemmTile = {kLanes, 32, 12, 96, 320, 384, 32};

void Gemm(const GemmArgs& args, int64_t block, std::byte* scratch) {
  MultiplyBlock(args, block, scratch);
}
int64_t GemmScratchSize(const GemmArgs& args) { return GemmScratchBytes(args); }

extern const GemmTile kStrassenTile;
const GemmTile kStrassenTile = {kLanes, 32, kTileRows, 128, 64, 192, 32};

void StrassenSums(const StrassenSumsArgs& args, int64_t block, std::byte* scratch) {
  StrassenSumsBlock(args, block, scratch);
}
void Strassen(const StrassenArgs& args, int64_t block, std::byte* scratch) {
  StrassenBlock(args, block, scratch);
}
int64_t StrassenScratchSize(const StrassenArgs& args) { return StrassenScratchBytes(args); }

extern const WinogradTile kWinogradTile;
const WinogradTile kWinogradTile = {36, 64, 64};

void WinogradTiles(const WinogradArgs& args, int64_t block, std::byte* scratch) {
  WinogradBlock(args, block, scratch);
}
int64_t WinogradScratchSize(const WinogradArgs& args) { return WinogradScratchBytes(args); }

}  // namespace irodori::cpu::avx512
