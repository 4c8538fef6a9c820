// Products of int8 of the `portable` family: widened bytes, tiles of 2 rows by 8 outputs.
#define IRODORI_FAMILY portable
#define IRODORI_LANES 4
#define IRODORI_TILE_ROWS 4
#include "native/cpu/gemm/int8_block.h"

namespace irodori::cpu::portable {

extern const Int8Table kInt8Table;
constexpr Int8Table::Product kProduct = MakeInt8Product<WideUnit, 2>();
const Int8Table kInt8Table = MakeInt8Table({kLanes, 2, 2, 64, 128, 512}, kProduct, kProduct);

}  // namespace irodori::cpu::portable
