// How rows are cut into register tiles, and how many panels a tile takes, for one kernel family.
#pragma once

#include "native/core/rounding.h"
#include "native/cpu/simd.h"

namespace irodori::cpu::IRODORI_FAMILY {

inline constexpr int kTileRows = IRODORI_TILE_ROWS;
inline constexpr int kRegisters = kLanes == 16 ? 32 : 16;

// The first `tall` tiles have `height` rows, the others one less.
struct RowTiles {
  int64_t tiles, height, tall;
};
IRODORI_INLINE RowTiles SplitRows(int64_t rows) {
  RowTiles split;
  split.tiles = CeilDiv(rows, kTileRows);
  split.height = CeilDiv(rows, split.tiles);
  split.tall = rows - split.tiles * (split.height - 1);
  return split;
}
IRODORI_INLINE int64_t HeightOf(const RowTiles& split, int64_t tile) {
  return tile < split.tall ? split.height : split.height - 1;
}

// Panels a tile of MR rows takes at once: as many as leave room for their own vectors and one
// broadcast, so that there are enough independent chains to cover the latency of FMA (two pipes of
// 4 or 5 cycles).
constexpr int VectorsFor(int rows) {
  if (rows == 1) return 8;
  for (int vectors = 8; vectors > 1; --vectors) {
    if (rows * vectors + vectors + 1 <= kRegisters) return vectors;
  }
  return 1;
}

// Panels to take at once when `left` remain.
IRODORI_INLINE int64_t GroupWidth(const RowTiles& split, int64_t left) {
  const int64_t wide = VectorsFor(static_cast<int>(split.height));
  return left >= wide ? wide : left >= 2 ? 2 : 1;
}

}  // namespace irodori::cpu::IRODORI_FAMILY
