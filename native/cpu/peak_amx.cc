// The peaks of the tile unit: two by two tiles of sums, whose four operands come from L2 at every
// step. With eight tiles that is the most products per load.
#define IRODORI_FAMILY amx
#define IRODORI_LANES 16
#include "native/cpu/gemm/tile_unit.h"
#include "native/cpu/peak.h"

namespace irodori::cpu::amx {
namespace {

constexpr int64_t kTileBytes = 16 * 64;
constexpr int64_t kStepBytes = 4 * kTileBytes;
// Ten times an L1 cache, a quarter of an L2.
constexpr int64_t kPanelBytes = int64_t{512} << 10;
constexpr int64_t kSteps = kPanelBytes / kStepBytes;
constexpr int64_t kSumBytes = 4 * kTileBytes;
constexpr int64_t kTileProducts = 16 * 16 * 16;  // of groups of four bytes

template <typename Product>
void TilesPiece(std::byte* memory, Product product) {
  TileUnit unit;
  unit.Configure();
  unit.Zero<0>();
  unit.Zero<1>();
  unit.Zero<2>();
  unit.Zero<3>();
  for (const std::byte* panel = memory + kSumBytes; panel < memory + kSumBytes + kPanelBytes;
       panel += kStepBytes) {
    unit.Load<4>(panel, 64);
    unit.Load<5>(panel + kTileBytes, 64);
    unit.Load<6>(panel + 2 * kTileBytes, 64);
    unit.Load<7>(panel + 3 * kTileBytes, 64);
    product(unit);
  }
  unit.Store<0>(memory, 64);
  unit.Store<1>(memory + kTileBytes, 64);
  unit.Store<2>(memory + 2 * kTileBytes, 64);
  unit.Store<3>(memory + 3 * kTileBytes, 64);
  unit.Release();
}

void Bf16Piece(std::byte* memory, int64_t) {
  TilesPiece(memory, [](TileUnit& unit) {
    unit.DotProductBf16<0, 4, 6>();
    unit.DotProductBf16<1, 4, 7>();
    unit.DotProductBf16<2, 5, 6>();
    unit.DotProductBf16<3, 5, 7>();
  });
}

#ifndef IRODORI_EMULATED_UNITS
template <int C, int A, int B>
void DotProductBytes() {
  asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(C), "i"(A), "i"(B));
}
#endif

void Int8Piece(std::byte* memory, int64_t) {
#ifndef IRODORI_EMULATED_UNITS
  TilesPiece(memory, [](TileUnit&) {
    DotProductBytes<0, 4, 6>();
    DotProductBytes<1, 4, 7>();
    DotProductBytes<2, 5, 6>();
    DotProductBytes<3, 5, 7>();
  });
#else
  (void)memory;  // bytes are not emulated, and PeaksOf leaves them out
#endif
}

}  // namespace

const Peak kTilesBf16Peak{"tiles_bf16", kSteps * 4 * kTileProducts * 2 * 2, kSumBytes + kPanelBytes,
                          &Bf16Piece};
const Peak kTilesInt8Peak{"tiles_int8", kSteps * 4 * kTileProducts * 4 * 2, kSumBytes + kPanelBytes,
                          &Int8Piece};

}  // namespace irodori::cpu::amx
