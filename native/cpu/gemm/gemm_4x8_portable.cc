// Products of the `portable` family, plain, by Strassen and by Winograd: register tiles of 4 rows
// by 8 outputs.
#define IRODORI_FAMILY portable
#define IRODORI_LANES 4
#define IRODORI_TILE_ROWS 4
#include "native/cpu/gemm/products.h"

namespace irodori::cpu::portable {

extern const GemmTile kGemmTile;
const GemmTile kGemmTile = {kLanes, 2, kTileRows, 64, 128, 256, 4};

extern const GemmTile kStrassenTile;
const GemmTile kStrassenTile = {kLanes, 2, kTileRows, 64, 64, 128};

extern const WinogradTile kWinogradTile;
const WinogradTile kWinogradTile = {32, 64, 64};

}  // namespace irodori::cpu::portable
