// One block of Winograd's convolution of a kernel family: a job of WinogradArgs, run by one thread.
//
// Loop nest of a block of tiles x outputs, channels in passes of `depth`:
//   pass: the tiles' inputs are transformed, V [planes][tiles][depth]
//     panel group: its weights are transformed, U [planes][panels][depth][lanes]
//       plane: register tiles as in the matrix product; chains parked in P
//   after the last pass: products are transformed back, pixel runs finished and stored
// V, U and P fit the second cache together; of a plane, U and some rows of V fit the first.
#pragma once

#include "native/cpu/gemm/gemm_block.h"
#include "native/cpu/gemm/winograd_transforms.h"

namespace irodori::cpu::IRODORI_FAMILY {

// Where a tile of a block is: its picture, and input and output pixel of its corner.
struct TilePlace {
  const std::byte* x;
  int64_t row, y, x0;
};

static inline void FindTiles(const WinogradArgs& args, int64_t first, int64_t count,
                             TilePlace* places) {
  for (int64_t i = 0; i < count; ++i) {
    const int64_t row = (first + i) / args.tiles;
    const int64_t tile = (first + i) % args.tiles;
    places[i] = {RowAt(args.x, row), row, tile / args.tiles_w * args.tile,
                 tile % args.tiles_w * args.tile};
  }
}

// Panels of a group, at most: as many as the tallest register tiles take.
inline constexpr int64_t kWinogradPanels = VectorsFor(kTileRows);

// Byte offsets of the parts of a thread's scratch: products, inputs, weights, pixel runs, places.
// Planes lie a vector further apart than they are large, so that the lines of one tile
// do not all fall into one set of the first cache.
struct WinogradScratch {
  int64_t plane_v, plane_u, plane_p;  // elements from plane to plane
  int64_t pitch_v, pitch_p;           // from tile to tile
  int64_t inputs, weights, runs, places, bytes;
};
IRODORI_INLINE WinogradScratch LayOutWinograd(const WinogradArgs& args) {
  const int64_t planes = (args.tile + args.taps - 1) * (args.tile + args.taps - 1);
  WinogradScratch scratch;
  scratch.pitch_v = RoundUp(args.depth, kLanes);
  scratch.pitch_p = RoundUp(args.column_block, kLanes);
  scratch.plane_v = args.tile_block * scratch.pitch_v + kLanes;
  scratch.plane_u = kWinogradPanels * args.depth * kLanes + kLanes;
  scratch.plane_p = args.tile_block * scratch.pitch_p + kLanes;
  scratch.inputs = RoundUp(planes * scratch.plane_p * 4, 64);
  scratch.weights = scratch.inputs + RoundUp(planes * scratch.plane_v * 4, 64);
  scratch.runs = scratch.weights + RoundUp(planes * scratch.plane_u * 4, 64);
  scratch.places = scratch.runs + RoundUp(args.tile * args.tile * scratch.pitch_p * 4, 64);
  scratch.bytes = scratch.places + args.tile_block * static_cast<int64_t>(sizeof(TilePlace));
  return scratch;
}

// V of one vector of channels: both axes of the pixels, to `v`, planes `plane` apart.
template <int kTile, int kTaps, typename Read>
IRODORI_INLINE void TransformVector(const Read& read, float* v, int64_t plane) {
  constexpr int kSide = kTile + kTaps - 1;
  F half[kSide][kSide];
#pragma GCC unroll 6
  for (int i = 0; i < kSide; ++i) {
#pragma GCC unroll 6
    for (int j = 0; j < kSide; ++j) half[i][j] = read(i * kSide + j);
    Winograd<kTile, kTaps>::Input(half[i]);
  }
#pragma GCC unroll 6
  for (int j = 0; j < kSide; ++j) {
    F column[kSide];
#pragma GCC unroll 6
    for (int i = 0; i < kSide; ++i) column[i] = half[i][j];
    Winograd<kTile, kTaps>::Input(column);
#pragma GCC unroll 6
    for (int i = 0; i < kSide; ++i) Store(v + (i * kSide + j) * plane, column[i]);
  }
}

// V of one tile, channels c0 .. c1, of pixels stored as T.
template <int kTile, int kTaps, typename T>
static inline void TransformInput(const WinogradArgs& args, const TilePlace& place, int64_t c0,
                                  int64_t c1, float* v, int64_t plane) {
  constexpr int kSide = kTile + kTaps - 1;
  const T* pixels[kSide * kSide];
  for (int64_t i = 0; i < kSide; ++i) {
    const int64_t y = place.y - args.pad_top + i;
    for (int64_t j = 0; j < kSide; ++j) {
      const int64_t x = place.x0 - args.pad_left + j;
      const bool inside = y >= 0 && y < args.in_h && x >= 0 && x < args.in_w;
      const T* pixel = reinterpret_cast<const T*>(inside ? place.x : args.zeros);
      pixels[i * kSide + j] = inside ? pixel + (y * args.in_w + x) * args.x_pitch : pixel;
    }
  }
  int64_t c = c0;
  for (; c + kLanes <= c1; c += kLanes) {
    TransformVector<kTile, kTaps>([&](int i) { return Load(pixels[i] + c); }, v + c - c0, plane);
  }
  if (c < c1) {
    TransformVector<kTile, kTaps>([&](int i) { return LoadFirst(pixels[i] + c, c1 - c); },
                                  v + c - c0, plane);
  }
}

// Three taps as the transform takes them: as they are, or folded for a parity.
IRODORI_INLINE void FoldTaps(F first, F middle, F last, bool, F (&g)[3]) {
  g[0] = first;
  g[1] = middle;
  g[2] = last;
}
IRODORI_INLINE void FoldTaps(F first, F middle, F last, bool odd, F (&g)[2]) {
  g[0] = odd ? first + middle : first;
  g[1] = odd ? last : middle + last;
}

// U of one panel [9 C][lanes], channels c0 .. c1, to `u`, planes `plane` apart.
template <int kTile, int kTaps, typename W>
static inline void TransformWeights(const WinogradArgs& args, const W* panel, int64_t c0,
                                    int64_t c1, float* u, int64_t plane) {
  constexpr int kSide = kTile + kTaps - 1;
  for (int64_t c = c0; c < c1; ++c, u += kLanes) {
    F half[kSide][3];
#pragma GCC unroll 3
    for (int64_t j = 0; j < 3; ++j) {
      const auto tap = [&](int64_t i) { return TermOf(panel, (i * 3 + j) * args.channels + c); };
      F g[kTaps], column[kSide];
      FoldTaps(tap(0), tap(1), tap(2), args.odd_y, g);
      Winograd<kTile, kTaps>::Weights(g, column);
#pragma GCC unroll 6
      for (int i = 0; i < kSide; ++i) half[i][j] = column[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < kSide; ++i) {
      F g[kTaps], row[kSide];
      FoldTaps(half[i][0], half[i][1], half[i][2], args.odd_x, g);
      Winograd<kTile, kTaps>::Weights(g, row);
#pragma GCC unroll 6
      for (int j = 0; j < kSide; ++j) Store(u + (i * kSide + j) * plane, row[j]);
    }
  }
}

// The pixels of one tile in `columns` outputs, from products `plane` apart to runs `pitch` apart.
template <int kTile, int kTaps>
static inline void TransformOutput(const float* p, int64_t plane, int64_t columns, float* runs,
                                   int64_t pitch) {
  constexpr int kSide = kTile + kTaps - 1;
  for (int64_t n = 0; n < columns; n += kLanes) {
    F half[kTile][kSide];
#pragma GCC unroll 6
    for (int j = 0; j < kSide; ++j) {
      F column[kSide], y[kTile];
#pragma GCC unroll 6
      for (int i = 0; i < kSide; ++i) column[i] = Load(p + (i * kSide + j) * plane + n);
      Winograd<kTile, kTaps>::Output(column, y);
#pragma GCC unroll 6
      for (int i = 0; i < kTile; ++i) half[i][j] = y[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < kTile; ++i) {
      F y[kTile];
      Winograd<kTile, kTaps>::Output(half[i], y);
#pragma GCC unroll 6
      for (int j = 0; j < kTile; ++j) Store(runs + (i * kTile + j) * pitch + n, y[j]);
    }
  }
}

// A pass over a block: V of channels c0 .. c1 is there; multiplied with U into P.
template <int kTile, int kTaps, typename W>
static inline void MultiplyPlanes(const WinogradArgs& args, const WinogradScratch& layout,
                                  std::byte* scratch, int64_t tiles, int64_t n0, int64_t n1,
                                  int64_t c0, int64_t c1) {
  constexpr int64_t kPlanes = (kTile + kTaps - 1) * (kTile + kTaps - 1);
  const float* inputs = reinterpret_cast<const float*>(scratch + layout.inputs);
  float* weights = reinterpret_cast<float*>(scratch + layout.weights);
  float* products = reinterpret_cast<float*>(scratch);
  const W* panels = reinterpret_cast<const W*>(args.weights) + n0 * args.weight_depth;
  const int64_t count = CeilDiv(n1 - n0, kLanes);
  const int64_t stride = (c1 - c0) * kLanes;
  PitchedRows rows{SplitRows(tiles), nullptr,        layout.pitch_v, c1 - c0,
                   nullptr,          layout.pitch_p, c0 > 0};
  int64_t width = 0;
  for (int64_t p = 0; p < count; p += width) {
    width = MinOf(GroupWidth(rows.split, count - p), kWinogradPanels);
    for (int64_t i = 0; i < width; ++i) {
      TransformWeights<kTile, kTaps>(args, panels + (p + i) * args.weight_depth * kLanes, c0, c1,
                                     weights + i * stride, layout.plane_u);
    }
    for (int64_t plane = 0; plane < kPlanes; ++plane) {
      rows.a = inputs + plane * layout.plane_v;
      rows.c = products + plane * layout.plane_p;
      MultiplyPanels<float>(rows, weights + plane * layout.plane_u, stride, p, width, {});
    }
  }
}

template <int kTile, int kTaps>
static inline void TilesOfBlock(const WinogradArgs& args, int64_t block, std::byte* scratch) {
  const WinogradScratch layout = LayOutWinograd(args);
  const int64_t first = block % args.tile_blocks * args.tile_block;
  const int64_t tiles = MinOf(args.tile_block, args.batch * args.tiles - first);
  const int64_t n0 = block / args.tile_blocks * args.column_block;
  const int64_t n1 = MinOf(n0 + args.column_block, args.n);
  const float* products = reinterpret_cast<const float*>(scratch);
  float* inputs = reinterpret_cast<float*>(scratch + layout.inputs);
  float* runs = reinterpret_cast<float*>(scratch + layout.runs);
  TilePlace* places = reinterpret_cast<TilePlace*>(scratch + layout.places);
  const auto transform = args.x_dtype == DType::kBF16  ? &TransformInput<kTile, kTaps, Bf16>
                         : args.x_dtype == DType::kF16 ? &TransformInput<kTile, kTaps, F16>
                                                       : &TransformInput<kTile, kTaps, float>;
  const auto multiply = args.weight_dtype == DType::kBF16  ? &MultiplyPlanes<kTile, kTaps, Bf16>
                        : args.weight_dtype == DType::kF16 ? &MultiplyPlanes<kTile, kTaps, F16>
                        : args.weight_dtype == DType::kI8  ? &MultiplyPlanes<kTile, kTaps, Int8>
                                                           : &MultiplyPlanes<kTile, kTaps, float>;
  FindTiles(args, first, tiles, places);
  for (int64_t c0 = 0; c0 < args.channels; c0 += args.depth) {
    const int64_t c1 = MinOf(c0 + args.depth, args.channels);
    for (int64_t t = 0; t < tiles; ++t) {
      transform(args, places[t], c0, c1, inputs + t * layout.pitch_v, layout.plane_v);
    }
    multiply(args, layout, scratch, tiles, n0, n1, c0, c1);
  }
  for (int64_t t = 0; t < tiles; ++t) {
    TransformOutput<kTile, kTaps>(products + t * layout.pitch_p, layout.plane_p, n1 - n0, runs,
                                  layout.pitch_p);
    const int64_t height = MinOf(kTile, args.out_h - places[t].y);
    const int64_t width = MinOf(kTile, args.out_w - places[t].x0);
    for (int64_t i = 0; i < height; ++i) {
      for (int64_t j = 0; j < width; ++j) {
        FinishRun(args.finish, runs + (i * kTile + j) * layout.pitch_p, places[t].row,
                  PixelAt(args.grid, places[t].y + i, places[t].x0 + j), n0, n1 - n0);
      }
    }
  }
}

static inline void WinogradBlock(const WinogradArgs& args, int64_t block, std::byte* scratch) {
  if (args.taps == 2) {
    TilesOfBlock<2, 2>(args, block, scratch);
  } else if (args.tile == 4) {
    TilesOfBlock<4, 3>(args, block, scratch);
  } else {
    TilesOfBlock<2, 3>(args, block, scratch);
  }
}

static inline int64_t WinogradScratchBytes(const WinogradArgs& args) {
  return LayOutWinograd(args).bytes;
}

}  // namespace irodori::cpu::IRODORI_FAMILY
