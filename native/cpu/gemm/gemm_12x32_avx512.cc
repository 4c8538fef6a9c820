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
#include "native/cpu/gemm/products.h"

namespace irodori::cpu::avx512 {

// bf16 panels are filled up to the 32 terms of an AMX tile: `amx` shares them.
extern const GemmTile kGemmTile;
const GemmTile kGemmTile = {kLanes, 32, 12, 96, 320, 384, 32};

extern const GemmTile kStrassenTile;
const GemmTile kStrassenTile = {kLanes, 32, kTileRows, 128, 64, 192, 32};

extern const WinogradTile kWinogradTile;
const WinogradTile kWinogradTile = {36, 64, 64};

}  // namespace irodori::cpu::avx512
