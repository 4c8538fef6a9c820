// Rows that lie equally far apart times a group of panels, for one kernel family: the loop over
// register tiles.
#pragma once

#include "native/cpu/gemm/register_tile.h"

namespace irodori::cpu::IRODORI_FAMILY {

// What will be multiplied next: `count` panels, `bytes` of each, `stride` bytes apart. They are
// fetched into the second cache while others are multiplied.
struct NextPanels {
  const std::byte* data = nullptr;
  int64_t stride = 0;
  int64_t bytes = 0;  // 0: none are known
  int64_t count = 0;
};

// Rows of a pass, cut into tiles, and where their results go.
struct PitchedRows {
  RowTiles split;
  const float* a;
  int64_t a_pitch;
  int64_t depth;
  float* c;
  int64_t c_pitch;
  bool resume;
  // In the last pass: where each row's results will be stored, and the bytes of one of them.
  std::byte* const* results = nullptr;
  int64_t result_bytes = 0;
};

// The lines that `count` rows' results will be stored to, `bytes` from `offset` on.
static inline void FetchResults(std::byte* const* results, int64_t count, int64_t offset,
                                int64_t bytes) {
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t line = 0; line < bytes; line += 64) {
      __builtin_prefetch(results[i] + offset + line, 1, 2);
    }
  }
}

// The topmost tile over panels from `first` of the results on.
IRODORI_INLINE TileArgs TopTile(const PitchedRows& rows, const void* panel, int64_t panel_stride,
                                int64_t first) {
  TileArgs tile;
  tile.a = rows.a;
  tile.a_pitch = rows.a_pitch;
  tile.depth = rows.depth;
  tile.panel = panel;
  tile.panel_stride = panel_stride;
  tile.c = rows.c + first * kLanes;
  tile.c_pitch = rows.c_pitch;
  tile.resume = rows.resume;
  return tile;
}

// All tiles over `width` panels (from GroupWidth), results from panel `first` on. Each tile fetches
// another part of the panels that are next.
template <typename W>
static inline void MultiplyPanels(const PitchedRows& rows, const W* panel, int64_t panel_stride,
                                  int64_t first, int64_t width, const NextPanels& next) {
  const TileTable<W>& table = kTiles<W>;
  const RowTiles& split = rows.split;
  const bool wide = width == VectorsFor(static_cast<int>(split.height));
  const TileKernel tall = (wide ? table.wide : width == 2 ? table.two : table.one)[split.height];
  const TileKernel low = (wide         ? table.wide_next
                          : width == 2 ? table.two
                                       : table.one)[split.height - 1];
  const int64_t part = rows.depth * kAheadPerTerm;
  const int64_t panel_parts = CeilDiv(next.bytes, part);
  const int64_t parts = panel_parts * next.count;
  const std::byte* next_panel = next.data;
  int64_t fetched = 0, of_panel = 0, row = 0;
  TileArgs tile = TopTile(rows, panel, panel_stride, first);
  for (int64_t t = 0; t < split.tiles; ++t) {
    // Spread evenly over the tiles. Where there is nothing to fetch, what is there costs nothing.
    tile.ahead = reinterpret_cast<const std::byte*>(panel);
    if (fetched < parts && fetched * split.tiles <= t * parts) {
      tile.ahead = next_panel + of_panel * part;
      ++fetched;
      if (++of_panel == panel_parts) {
        of_panel = 0;
        next_panel += next.stride;
      }
    }
    const int64_t height = HeightOf(split, t);
    if (rows.results != nullptr) {
      FetchResults(rows.results + row, height, first * kLanes * rows.result_bytes,
                   width * kLanes * rows.result_bytes);
      row += height;
    }
    (t < split.tall ? tall : low)(tile);
    tile.a += height * rows.a_pitch;
    tile.c += height * rows.c_pitch;
  }
}

// The same over what the topmost tile makes of `width` panels, 1 or 2, and of as many second ones.
template <Making kMaking, typename W>
static inline void MultiplyMade(PitchedRows rows, const W* panel, const W* second,
                                int64_t panel_stride, float* made, int64_t first, int64_t width,
                                const NextPanels& next) {
  const MakingTileArgs tile{TopTile(rows, panel, panel_stride, first), second, made};
  const int64_t height = rows.split.height;
  if (rows.results != nullptr) {
    FetchResults(rows.results, height, first * kLanes * rows.result_bytes,
                 width * kLanes * rows.result_bytes);
    rows.results += height;
  }
  kMakingTiles<W, kMaking>.tiles[height][width](tile);
  --rows.split.tiles;
  --rows.split.tall;
  rows.a += height * rows.a_pitch;
  rows.c += height * rows.c_pitch;
  MultiplyPanels<float>(rows, made, rows.depth * kLanes, first, width, next);
}

}  // namespace irodori::cpu::IRODORI_FAMILY
