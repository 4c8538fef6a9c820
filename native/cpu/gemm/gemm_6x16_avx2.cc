// Products of the `avx2` family, plain, by Strassen and by Winograd: register tiles of 6 rows by
// 16 outputs.
#define IRODORI_FAMILY avx2
#define IRODORI_LANES 8
#define IRODORI_TILE_ROWS 6
#include "native/cpu/gemm/products.h"

namespace irodori::cpu::avx2 {

extern const GemmTile kGemmTile;
const GemmTile kGemmTile = {kLanes, 2, kTileRows, 96, 192, 320, 16};

extern const GemmTile kStrassenTile;
const GemmTile kStrassenTile = {kLanes, 2, kTileRows, 128, 64, 192, 16};

extern const WinogradTile kWinogradTile;
const WinogradTile kWinogradTile = {48, 64, 64};

}  // namespace irodori::cpu::avx2
