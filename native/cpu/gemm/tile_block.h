// Blocks of products through matrix tiles, for families with a tile unit: 2 x 2 tiles, that is 32
// rows by 32 outputs, 64 bytes of k per instruction.
//
// Loads per product are 1, the least that eight tiles allow (four of C, two of A, two of B). Rows
// of x are loaded in place where 16 of them are equally far apart and whole in k: of a convolution
// for each tap, so that a 3x3 one is nine shifted products, and only what touches its border is
// not. Else they are gathered into tiles of their own, filled up with zeros, once per pass and
// block. Weights are panels of 16 outputs in groups of k that fill 32 bits, padded to 64 bytes:
// tiles as they lie.
//
// An Element says what the 64 bytes are: its kBytes, Product<C, A, B>(unit), and the vector that
// taps in the padding read.
#pragma once

#include "native/cpu/gemm/gemm_block.h"
#include "native/cpu/gemm/int8.h"
#include "native/cpu/gemm/tile_unit.h"

namespace irodori::cpu::IRODORI_FAMILY {

struct Bf16Element {
  static constexpr int64_t kBytes = 2;
  template <int C, int A, int B>
  IRODORI_INLINE void Product(TileUnit& unit) {
    unit.DotProductBf16<C, A, B>();
  }
  IRODORI_INLINE const std::byte* Padding(const GemmArgs& args, const RowPlace&) {
    return args.zeros;
  }
};

inline constexpr int64_t kTile = 16;        // rows and outputs of a tile
inline constexpr int64_t kChunkBytes = 64;  // of k in a tile
inline constexpr int64_t kTileBytes = kTile * kChunkBytes;
template <typename Element>
inline constexpr int64_t kChunk = kChunkBytes / Element::kBytes;  // terms of k in a tile

// Sixteen rows: chunk c of a span begins at data + c step, rows are `stride` bytes apart.
struct TileRowsPlace {
  const std::byte* data;
  int64_t stride, step;
};

// A pass over k for all of a block's row tiles, in spans of chunks: where tile t has its rows in
// span s is rows[s tiles + t].
struct TilePass {
  int64_t spans, tiles;
  int64_t* chunks;  // of each span
  TileRowsPlace* rows;
};

// Row `lane` of gathered tiles = x(m)[k0 .. k1), zeros behind.
template <typename Element>
static inline void GatherTileRow(const GemmArgs& args, const RowPlace& place, int64_t k0,
                                 int64_t k1, int64_t lane, std::byte* tiles) {
  constexpr int64_t kBytes = Element::kBytes;
  int64_t k = k0;
  while (k < k1) {
    const int64_t tap = k / args.channels;
    const int64_t tap_end = MinOf((tap + 1) * args.channels, k1);
    const std::byte* source = TapAddress(args, place, TapOf(args, tap), kBytes);
    if (source == nullptr) source = Element::Padding(args, place);
    while (k < tap_end) {
      const int64_t at = k - k0;
      const int64_t length = MinOf(kChunk<Element> - at % kChunk<Element>, tap_end - k);
      const std::byte* from = source + (k - tap * args.channels) * kBytes;
      std::byte* out = tiles + at / kChunk<Element> * kTileBytes + lane * kChunkBytes +
                       at % kChunk<Element> * kBytes;
      if (length == kChunk<Element>) {
        __builtin_memcpy(out, from, kChunkBytes);
      } else {
        __builtin_memcpy(out, from, static_cast<size_t>(length * kBytes));
      }
      k += length;
    }
  }
  const int64_t used = (k1 - k0) % kChunk<Element>;
  if (used == 0) return;
  std::byte* out =
      tiles + (k1 - k0) / kChunk<Element> * kTileBytes + lane * kChunkBytes + used * kBytes;
  __builtin_memset(out, 0, static_cast<size_t>((kChunk<Element> - used) * kBytes));
}

// Whether all of k is read in whole chunks of one tap each.
template <typename Element>
IRODORI_INLINE bool ChunksAreWhole(const GemmArgs& args, int64_t k0, int64_t k1) {
  const int64_t unit = args.taps > 1 ? args.channels : kChunk<Element>;
  return unit % kChunk<Element> == 0 && k0 % kChunk<Element> == 0 && k1 % kChunk<Element> == 0;
}

// Channel 0 of a tap for the tile's sixteen rows, where they are: data is null where they are not
// equally far apart, or not all in the picture.
IRODORI_INLINE TileRowsPlace RowsInPlace(const GemmArgs& args, const RowPlace* places,
                                         int64_t count, Tap tap, int64_t element_bytes) {
  if (count < kTile) return {nullptr, 0, 0};
  const auto at = [&](int64_t i) { return TapAddress(args, places[i], tap, element_bytes); };
  const std::byte *first = at(0), *second = at(1), *last = at(kTile - 1);
  if (first == nullptr || second == nullptr || last == nullptr) return {nullptr, 0, 0};
  const int64_t stride = second - first;
  if (last - first != (kTile - 1) * stride) return {nullptr, 0, 0};
  // Of one line of a picture, or of one matrix, what lies between the ends is between them.
  const RowPlace &front = places[0], &back = places[kTile - 1];
  if (front.x == back.x && front.y == back.y) return {first, stride, kChunkBytes};
  for (int64_t i = 2; i < kTile - 1; ++i) {
    const std::byte* rows = at(i);
    if (rows == nullptr || rows - first != i * stride) return {nullptr, 0, 0};
  }
  return {first, stride, kChunkBytes};
}

// Zeros in gathered tiles from row `lane` on.
static inline void ZeroTileRows(std::byte* tiles, int64_t lane, int64_t chunks) {
  const auto bytes = static_cast<size_t>((kTile - lane) * kChunkBytes);
  for (int64_t c = 0; c < chunks; ++c)
    __builtin_memset(tiles + c * kTileBytes + lane * kChunkBytes, 0, bytes);
}

// The chunks of `count` rows of one tap from byte `from` of its channels on, and zeros below them.
template <typename Element>
static inline void GatherSpan(const GemmArgs& args, const RowPlace* places, int64_t count, Tap tap,
                              int64_t from, int64_t chunks, std::byte* tiles) {
  ZeroTileRows(tiles, count, chunks);
  for (int64_t lane = 0; lane < count; ++lane, tiles += kChunkBytes) {
    const std::byte* source = TapAddress(args, places[lane], tap, Element::kBytes);
    if (source == nullptr) source = Element::Padding(args, places[lane]);
    source += from;
#pragma GCC unroll 4
    for (int64_t c = 0; c < chunks; ++c)
      __builtin_memcpy(tiles + c * kTileBytes, source + c * kChunkBytes, kChunkBytes);
  }
}

// A pass over k0 .. k1: a span for each tap, or one where its chunks are not those of one tap each.
template <typename Element>
static inline void PlacePass(const GemmArgs& args, const RowPlace* places, int64_t rows, int64_t k0,
                             int64_t k1, std::byte* gathered, TilePass& pass) {
  constexpr int64_t kBytes = Element::kBytes;
  const int64_t tile_bytes = RoundUp(args.depth, kChunk<Element>) * kTile * kBytes;
  const auto count_of = [&](int64_t t) { return MinOf(kTile, rows - t * kTile); };
  pass.spans = 0;
  if (!ChunksAreWhole<Element>(args, k0, k1)) {
    pass.spans = 1;
    pass.chunks[0] = CeilDiv(k1 - k0, kChunk<Element>);
    for (int64_t t = 0; t < pass.tiles; ++t) {
      std::byte* tiles = gathered + t * tile_bytes;
      for (int64_t lane = 0; lane < count_of(t); ++lane)
        GatherTileRow<Element>(args, places[t * kTile + lane], k0, k1, lane, tiles);
      ZeroTileRows(tiles, count_of(t), pass.chunks[0]);
      pass.rows[t] = {tiles, kChunkBytes, kTileBytes};
    }
    return;
  }
  for (int64_t k = k0; k < k1;) {
    const int64_t number = args.taps > 1 ? k / args.channels : 0;
    const int64_t end = args.taps > 1 ? MinOf((number + 1) * args.channels, k1) : k1;
    const int64_t from = (k - number * args.channels) * kBytes;
    const int64_t chunks = (end - k) / kChunk<Element>;
    const Tap tap = TapOf(args, number);
    TileRowsPlace* out = pass.rows + pass.spans * pass.tiles;
    for (int64_t t = 0; t < pass.tiles; ++t) {
      const RowPlace* first = places + t * kTile;
      out[t] = RowsInPlace(args, first, count_of(t), tap, kBytes);
      if (out[t].data != nullptr) {
        out[t].data += from;
        continue;
      }
      std::byte* tiles = gathered + t * tile_bytes + (k - k0) / kChunk<Element> * kTileBytes;
      GatherSpan<Element>(args, first, count_of(t), tap, from, chunks, tiles);
      out[t] = {tiles, kChunkBytes, kTileBytes};
    }
    pass.chunks[pass.spans++] = chunks;
    k = end;
  }
}

// The panels that are multiplied next, one or two, and of the 16 or 32 lines of a chunk of theirs
// those that one product fetches into the second cache with each of its own chunks.
struct TilesAhead {
  const std::byte* panels;
  int64_t stride;
  int64_t line, end;
};

// Such lines as runs in the first panel and in the second.
struct TileLines {
  const std::byte *first, *second;
  int64_t of_first, of_second;
};
IRODORI_INLINE TileLines LinesOf(const TilesAhead& ahead) {
  constexpr int64_t kLines = kTileBytes / 64;
  const int64_t of_first = MinOf(ahead.end, kLines), of_second = MaxOf(ahead.line, kLines);
  return {ahead.panels + ahead.line * 64, ahead.panels + ahead.stride + (of_second - kLines) * 64,
          of_first - ahead.line, ahead.end - of_second};
}
IRODORI_INLINE void FetchChunk(TileLines& lines) {
#pragma GCC unroll 4
  for (int64_t i = 0; i < lines.of_first; ++i) __builtin_prefetch(lines.first + i * 64, 0, 2);
#pragma GCC unroll 4
  for (int64_t i = 0; i < lines.of_second; ++i) __builtin_prefetch(lines.second + i * 64, 0, 2);
  lines.first += kTileBytes;
  lines.second += kTileBytes;
}

// MT x NT tiles of results over all chunks of a pass.
#ifdef IRODORI_VECTOR_TILES

// Eight rows by NT vectors, whose sums stay in registers: a pair of x is loaded for NT products.
template <int NT>
static void RowsProduct(const TilePass& pass, int64_t tile, int64_t row, const std::byte* panel,
                        int64_t panel_stride, std::byte* c, int64_t c_stride, bool resume,
                        const TilesAhead& ahead) {
  constexpr int kRows = 8;
  TileLines lines = LinesOf(ahead);
  F sums[kRows][NT];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
    for (int n = 0; n < NT; ++n) {
      sums[i][n] = F{};
      if (resume) __builtin_memcpy(&sums[i][n], c + i * c_stride + n * kChunkBytes, 64);
    }
  }
  for (int64_t span = 0; span < pass.spans; ++span) {
    const TileRowsPlace& place = pass.rows[span * pass.tiles + tile];
    const std::byte* rows = place.data + row * place.stride;
    for (int64_t chunk = 0; chunk < pass.chunks[span]; ++chunk) {
      FetchChunk(lines);
#pragma GCC unroll 4
      for (int pair = 0; pair < kTile; ++pair) {
        F w[NT];
#pragma GCC unroll 2
        for (int n = 0; n < NT; ++n)
          __builtin_memcpy(&w[n], panel + n * panel_stride + pair * kChunkBytes, 64);
#pragma GCC unroll 8
        for (int i = 0; i < kRows; ++i) {
          const F x = TileUnit::Pair(rows + i * place.stride + pair * 4);
#pragma GCC unroll 2
          for (int n = 0; n < NT; ++n) sums[i][n] = TileUnit::Product(sums[i][n], w[n], x);
        }
      }
      rows += place.step;
      panel += kTileBytes;
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
    for (int n = 0; n < NT; ++n)
      __builtin_memcpy(c + i * c_stride + n * kChunkBytes, &sums[i][n], 64);
  }
}

template <typename, int MT, int NT>
static void TileProduct(TileUnit&, const TilePass& pass, int64_t tile, const std::byte* panel,
                        int64_t panel_stride, std::byte* c, int64_t c_pitch, bool resume,
                        TilesAhead ahead) {
  constexpr int64_t kRows = 8;
  const int64_t end = ahead.end;
  const int64_t lines = CeilDiv(end - ahead.line, MT * kTile / kRows);
  for (int64_t row = 0; row < MT * kTile; row += kRows, ahead.line = ahead.end) {
    ahead.end = MinOf(ahead.line + lines, end);
    RowsProduct<NT>(pass, tile + row / kTile, row % kTile, panel, panel_stride,
                    c + row * c_pitch * 4, c_pitch * 4, resume, ahead);
  }
}

#else

// Tiles 0 .. 3: C, 4 and 5: A, 6 and 7: B.
template <typename Element, int MT, int NT>
static void TileProduct(TileUnit& unit, const TilePass& pass, int64_t tile, const std::byte* panel,
                        int64_t panel_stride, std::byte* c, int64_t c_pitch, bool resume,
                        const TilesAhead& ahead) {
  TileLines lines = LinesOf(ahead);
  const int64_t stride = c_pitch * 4;
  std::byte* right = c + kTile * 4;
  std::byte* low = c + kTile * stride;
  std::byte* low_right = low + kTile * 4;
  if (resume) {
    unit.Load<0>(c, stride);
    if constexpr (NT == 2) unit.Load<1>(right, stride);
    if constexpr (MT == 2) unit.Load<2>(low, stride);
    if constexpr (MT == 2 && NT == 2) unit.Load<3>(low_right, stride);
  } else {
    unit.Zero<0>();
    if constexpr (NT == 2) unit.Zero<1>();
    if constexpr (MT == 2) unit.Zero<2>();
    if constexpr (MT == 2 && NT == 2) unit.Zero<3>();
  }
  for (int64_t span = 0; span < pass.spans; ++span) {
    const TileRowsPlace* rows = pass.rows + span * pass.tiles + tile;
    const TileRowsPlace high = rows[0], below = rows[MT - 1];
    int64_t high_at = 0, below_at = 0;
    for (int64_t chunk = 0; chunk < pass.chunks[span]; ++chunk) {
      FetchChunk(lines);
      unit.Load<6>(panel, kChunkBytes);
      unit.Load<4>(high.data + high_at, high.stride);
      Element::template Product<0, 4, 6>(unit);
      if constexpr (NT == 2) {
        unit.Load<7>(panel + panel_stride, kChunkBytes);
        Element::template Product<1, 4, 7>(unit);
      }
      if constexpr (MT == 2) {
        unit.Load<5>(below.data + below_at, below.stride);
        Element::template Product<2, 5, 6>(unit);
        if constexpr (NT == 2) Element::template Product<3, 5, 7>(unit);
      }
      panel += kTileBytes;
      high_at += high.step;
      below_at += below.step;
    }
  }
  unit.Store<0>(c, stride);
  if constexpr (NT == 2) unit.Store<1>(right, stride);
  if constexpr (MT == 2) unit.Store<2>(low, stride);
  if constexpr (MT == 2 && NT == 2) unit.Store<3>(low_right, stride);
}

#endif

// Byte offsets of the parts of a thread's scratch behind results and partial sums: gathered rows,
// places, and a pass's chunks and rows.
struct TileScratch {
  int64_t sums, gathered, places, chunks, rows, bytes;
};
template <typename Element>
IRODORI_INLINE TileScratch LayOutTiles(const GemmArgs& args) {
  const int64_t rows = RoundUp(args.row_block, kTile);
  const int64_t results = rows * RoundUp(args.column_block, kTile) * 4;
  TileScratch scratch;
  scratch.sums = results;
  scratch.gathered = scratch.sums + (args.k_block < args.k ? results : 0);
  scratch.places = scratch.gathered + rows * RoundUp(args.depth, kChunk<Element>) * Element::kBytes;
  scratch.chunks =
      scratch.places + RoundUp(args.row_block * static_cast<int64_t>(sizeof(RowPlace)), 64);
  // A pass begins and ends anywhere in a tap.
  const int64_t spans = args.taps > 1 ? args.depth / args.channels + 2 : 1;
  scratch.rows = scratch.chunks + RoundUp(spans * static_cast<int64_t>(sizeof(int64_t)), 64);
  scratch.bytes =
      scratch.rows + spans * (rows / kTile) * static_cast<int64_t>(sizeof(TileRowsPlace));
  return scratch;
}

// A block of rows x outputs, and the chains of its results.
struct TileBlock : GemmBlock {
  int64_t c_pitch;
  int64_t next_n;  // NextOutputs
};
IRODORI_INLINE TileBlock TileBlockOf(const GemmArgs& args, int64_t block) {
  const GemmBlock at = GemmBlockOf(args, block);
  return {at, RoundUp(at.n1 - at.n0, kTile), NextOutputs(args, block)};
}

// c = the block's sums over k in [begin, end), in passes of `depth`.
template <typename Element>
static inline void SumThroughTiles(const GemmArgs& args, const TileBlock& at, int64_t begin,
                                   int64_t end, TileUnit& unit, std::byte* scratch) {
  const TileScratch layout = LayOutTiles<Element>(args);
  const RowPlace* places = reinterpret_cast<const RowPlace*>(scratch + layout.places);
  TilePass pass{0, CeilDiv(at.rows, kTile), reinterpret_cast<int64_t*>(scratch + layout.chunks),
                reinterpret_cast<TileRowsPlace*>(scratch + layout.rows)};
  const int64_t panels = at.c_pitch / kTile;
  const int64_t panel_stride = args.weight_depth * kTile * Element::kBytes;
  const std::byte* weights = args.weights + at.n0 / kTile * panel_stride;
  for (int64_t k0 = begin; k0 < end; k0 += args.depth) {
    const int64_t k1 = MinOf(k0 + args.depth, end);
    PlacePass<Element>(args, places, at.rows, k0, k1, scratch + layout.gathered, pass);
    const PassStart next = PassAfter(args, at.n0, k1, at.next_n);
    for (int64_t p = 0; p < panels; p += 2) {
      const std::byte* panel = weights + p * panel_stride + k0 * kTile * Element::kBytes;
      const bool pair = p + 1 < panels;
      TilesAhead ahead{panel + 2 * panel_stride, panel_stride, 0, 0};
      int64_t lines = MinOf(panels - p - 2, 2) * kTileBytes / 64;
      if (p + 2 >= panels) {
        ahead.panels =
            args.weights + next.n / kTile * panel_stride + next.k * kTile * Element::kBytes;
        lines = next.n < args.n ? MinOf(panels, 2) * kTileBytes / 64 : 0;
      }
      const int64_t lines_of_product = CeilDiv(lines, CeilDiv(pass.tiles, 2));
      for (int64_t t = 0; t < pass.tiles; t += 2) {
        std::byte* out = scratch + (t * kTile * at.c_pitch + p * kTile) * 4;
        const bool two = t + 1 < pass.tiles;
        const auto product =
            two ? (pair ? &TileProduct<Element, 2, 2> : &TileProduct<Element, 2, 1>)
                : (pair ? &TileProduct<Element, 1, 2> : &TileProduct<Element, 1, 1>);
        ahead.line = ahead.end;
        ahead.end = MinOf(ahead.line + lines_of_product, lines);
        product(unit, pass, t, panel, panel_stride, out, at.c_pitch, k0 > begin, ahead);
      }
    }
  }
}

}  // namespace irodori::cpu::IRODORI_FAMILY
