// Products of int8 of the `avx512` family: vpdpbusd where the processor has VNNI, tiles of 12 rows
// by 32 outputs.
#define IRODORI_FAMILY avx512
#define IRODORI_LANES 16
#ifdef IRODORI_EMULATED_UNITS
#define IRODORI_TILE_ROWS 3
#else
#define IRODORI_TILE_ROWS 12
#endif
#include "native/cpu/gemm/int8_block.h"

namespace irodori::cpu::avx512 {
namespace {

// x without a sign, for that is how the instruction takes its first factor.
struct VnniUnit {
  static constexpr int kOffset = 128;
  static constexpr int kGroups = 1;
  static constexpr int kTemporaries = 2;
  IRODORI_INLINE I Of(I sum, I x, I w) {
#ifndef IRODORI_EMULATED_UNITS
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
    return sum;
#else
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      sum += ((I)((U)x >> 8 * j) & 0xff) * ((I)((U)w << (24 - 8 * j)) >> 24);
    }
    return sum;
#endif
  }
};

constexpr GemmTile kTile = {kLanes, 32, kTileRows, 144, 256, 512};

}  // namespace

extern const Int8Table kInt8Table, kInt8WideTable;
constexpr Int8Table::Product kVnni = MakeInt8Product<VnniUnit, kTileRows>();
const Int8Table kInt8Table = MakeInt8Table(kTile, kVnni, kVnni);
// Without VNNI: for programs that were made elsewhere, no device asks for it.
constexpr Int8Table::Product kWide = MakeInt8Product<WideUnit, 2>();
const Int8Table kInt8WideTable = MakeInt8Table(kTile, kWide, kWide);

}  // namespace irodori::cpu::avx512
