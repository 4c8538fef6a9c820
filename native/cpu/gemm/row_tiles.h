// How rows are cut into register tiles, and a group of tiles run over panels, for one kernel
// family.
#pragma once

#include "native/cpu/gemm/register_tile.h"

namespace irodori::cpu::IRODORI_FAMILY {

// The first `tall` tiles have `height` rows, the others one less.
struct RowTiles {
  int64_t tiles, height, tall;
};
IRODORI_INLINE RowTiles SplitRows(int64_t rows) {
  RowTiles split;
  split.tiles = (rows + kTileRows - 1) / kTileRows;
  split.height = (rows + split.tiles - 1) / split.tiles;
  split.tall = rows - split.tiles * (split.height - 1);
  return split;
}
IRODORI_INLINE int64_t HeightOf(const RowTiles& split, int64_t tile) {
  return tile < split.tall ? split.height : split.height - 1;
}

// Tiles of rows with their stretches (`count` each, tile after tile) and where their results go.
struct TileGroup {
  RowTiles split;
  const Stretch* stretches;
  int64_t count;
  float* c;
  int64_t c_pitch;
};

// Panels to take at once when `left` remain.
IRODORI_INLINE int64_t GroupWidth(const RowTiles& split, int64_t left) {
  const int64_t wide = VectorsFor(static_cast<int>(split.height));
  return left >= wide ? wide : left >= 2 ? 2 : 1;
}

// All tiles over `width` panels (from GroupWidth), results from panel `first` on.
template <typename W>
static inline void TilesOfPanels(const TileGroup& group, TileArgs tile, int64_t first,
                                 int64_t width) {
  const TileTable<W>& table = kTiles<W>;
  const RowTiles& split = group.split;
  const bool wide = width == VectorsFor(static_cast<int>(split.height));
  const TileKernel tall = (wide ? table.wide : width == 2 ? table.two : table.one)[split.height];
  const TileKernel low = (wide         ? table.wide_next
                          : width == 2 ? table.two
                                       : table.one)[split.height - 1];
  float* c = group.c + first * kLanes;
  for (int64_t t = 0; t < split.tiles; ++t) {
    tile.stretches = group.stretches + t * group.count;
    tile.c = c;
    if (t < split.tall) {
      tall(tile);
    } else {
      low(tile);
    }
    c += HeightOf(split, t) * group.c_pitch;
  }
}

}  // namespace irodori::cpu::IRODORI_FAMILY
