// Products of int8 of the `amx` family, through matrix tiles (tile_block.h): both factors signed,
// 64 terms of k per instruction.
#define IRODORI_FAMILY amx
#define IRODORI_LANES 16
#define IRODORI_TILE_ROWS 1
#include "native/cpu/gemm/int8_block.h"
#include "native/cpu/gemm/tile_block.h"

namespace irodori::cpu::amx {
namespace {

constexpr int32_t kOffset = 0;

struct Int8Element {
  static constexpr int64_t kBytes = 1;
  template <int C, int A, int B>
  IRODORI_INLINE void Product(TileUnit& unit) {
    unit.DotProductInt8<C, A, B>();
  }
  IRODORI_INLINE const std::byte* Padding(const GemmArgs& args, const RowPlace& place) {
    return Int8Padding(args, place.x);
  }
};

void Int8Tiles(const Int8Args& int8, int64_t block, std::byte* scratch) {
  const GemmArgs& args = int8.product;
  const TileBlock at = TileBlockOf(args, block);
  const TileScratch layout = LayOutTiles<Int8Element>(args);
  FindRows(args, at.m0, at.rows, reinterpret_cast<RowPlace*>(scratch + layout.places));
  TileUnit unit;
  unit.Configure();
  SumThroughTiles<Int8Element>(args, at, 0, args.k, unit, scratch);
  unit.Release();
  FinishInt8(int8, kOffset, at.m0, at.rows, at.n0, at.n1 - at.n0,
             reinterpret_cast<int32_t*>(scratch), at.c_pitch);
}

int64_t Int8TilesScratch(const Int8Args& args) {
  return LayOutTiles<Int8Element>(args.product).bytes;
}

}  // namespace

extern const Int8Table kInt8Table;
constexpr Int8Table::Product kProduct = {kOffset, &Int8Tiles, &Int8TilesScratch};
const Int8Table kInt8Table = MakeInt8Table({kTile, 32, 32, 128, 320, 2560}, kProduct, kProduct);

}  // namespace irodori::cpu::amx
