// One block of the indirect matrix product of a kernel family: a job of GemmArgs, run by one
// thread.
//
// Loop nest of a block of rows x outputs, k in passes of `depth`:
//   pass: find (or, for narrow storage and narrow pixels, gather and widen) the rows' stretches of
//   k
//     panel group (stays in L1): tile of rows (read from L2): register tile over the pass, chains
//     parked in scratch
//   after the last pass: partial sums are added up, and the rows of the block are finished and
//   stored
// A: row_block x depth and B: column_block x depth fit L2 together; B's group of panels fits L1.
#pragma once

#include "native/cpu/finish.h"
#include "native/cpu/gemm/gemm.h"
#include "native/cpu/gemm/row_tiles.h"

namespace irodori::cpu::IRODORI_FAMILY {

// Rows at least this many channels wide are read in place; below, tiles would spend their time on
// addresses.
inline constexpr int64_t kDirectChannels = 16;

// Where a row of a block is.
struct RowPlace {
  const std::byte* x;  // the batch row
  int64_t m;           // row in it
  int64_t y, x0;       // conv2d: input pixel of tap (0, 0)
};

// Tap number -> place in the kernel.
struct Tap {
  int64_t y, x;
};
IRODORI_INLINE Tap TapOf(const GemmArgs& args, int64_t tap) {
  return args.taps == 1 ? Tap{0, 0} : Tap{tap / args.kernel_w, tap % args.kernel_w};
}

// Address of channel 0 of a tap, or null in the padding.
IRODORI_INLINE const std::byte* TapAddress(const GemmArgs& args, const RowPlace& place, Tap tap,
                                           int64_t element_bytes) {
  if (args.in_w == 0) return place.x + place.m * args.x_pitch * element_bytes;
  const int64_t y = place.y + tap.y;
  const int64_t x = place.x0 + tap.x;
  if (y < 0 || y >= args.in_h || x < 0 || x >= args.in_w) return nullptr;
  return place.x + (y * args.in_w + x) * args.x_pitch * element_bytes;
}

// The vector of the result that row m of a batch row is.
IRODORI_INLINE int64_t PixelAt(const PixelGrid& grid, int64_t y, int64_t x) {
  return (y * grid.step + grid.top) * grid.width + x * grid.step + grid.left;
}
IRODORI_INLINE int64_t VectorOf(const GemmArgs& args, int64_t m) {
  return args.grid.step == 0 ? m : PixelAt(args.grid, m / args.out_w, m % args.out_w);
}

static inline void FindRows(const GemmArgs& args, int64_t first, int64_t count, RowPlace* places) {
  int64_t row = first / args.rows;
  int64_t m = first % args.rows;
  int64_t y = args.in_w > 0 ? m / args.out_w : 0;
  int64_t x = args.in_w > 0 ? m % args.out_w : 0;
  for (int64_t i = 0; i < count; ++i) {
    places[i] = {RowAt(args.x, row), m, y * args.stride_h - args.pad_top,
                 x * args.stride_w - args.pad_left};
    if (++x == args.out_w) {
      x = 0;
      ++y;
    }
    if (++m == args.rows) {
      m = x = y = 0;
      ++row;
    }
  }
}

// values[0 .. k1 - k0) = x(m)[k0 .. k1), widened.
static inline void GatherRow(const GemmArgs& args, const RowPlace& place, int64_t k0, int64_t k1,
                             float* values) {
  const int64_t element_bytes = args.x_dtype == DType::kF32 ? 4 : 2;
  for (int64_t k = k0; k < k1;) {
    const int64_t tap = k / args.channels;
    const int64_t c = k - tap * args.channels;
    const int64_t length = MinOf(args.channels - c, k1 - k);
    const std::byte* source = TapAddress(args, place, TapOf(args, tap), element_bytes);
    if (source == nullptr) {
      for (int64_t i = 0; i < length; ++i) values[k - k0 + i] = 0;
    } else if (args.x_dtype == DType::kF32 && length < kLanes) {
      const float* from = reinterpret_cast<const float*>(source) + c;
      for (int64_t i = 0; i < length; ++i) values[k - k0 + i] = from[i];
    } else {
      LoadRun(values + (k - k0), source, args.x_dtype, c, length);
    }
    k += length;
  }
}

// Fills the stretches of every tile for k0 .. k1, rows read in place; returns stretches per tile.
static inline int64_t DirectStretches(const GemmArgs& args, const RowPlace* places,
                                      const RowTiles& split, int64_t k0, int64_t k1,
                                      Stretch* stretches) {
  const int64_t first_tap = k0 / args.channels;
  const int64_t count = (k1 - 1) / args.channels - first_tap + 1;
  int64_t k = k0;
  for (int64_t s = 0; s < count; ++s) {
    const Tap tap = TapOf(args, first_tap + s);
    const int64_t c = k - (first_tap + s) * args.channels;
    const int64_t length = MinOf(args.channels - c, k1 - k);
    const RowPlace* place = places;
    for (int64_t t = 0; t < split.tiles; ++t) {
      Stretch& stretch = stretches[t * count + s];
      stretch.length = length;
      const int64_t height = HeightOf(split, t);
      for (int64_t i = 0; i < height; ++i, ++place) {
        const std::byte* at = TapAddress(args, *place, tap, 4);
        stretch.rows[i] = reinterpret_cast<const float*>(at == nullptr ? args.zeros : at) + c;
      }
    }
    k += length;
  }
  return count;
}

// The same through a widened copy of the rows: one stretch per tile.
static inline int64_t GatheredStretches(const GemmArgs& args, const RowPlace* places,
                                        const RowTiles& split, int64_t k0, int64_t k1,
                                        float* gathered, Stretch* stretches) {
  const int64_t pitch = args.depth + kRunSlack;
  int64_t row = 0;
  for (int64_t t = 0; t < split.tiles; ++t) {
    const int64_t height = HeightOf(split, t);
    stretches[t].length = k1 - k0;
    for (int64_t i = 0; i < height; ++i, ++row) {
      GatherRow(args, places[row], k0, k1, gathered + row * pitch);
      stretches[t].rows[i] = gathered + row * pitch;
    }
  }
  return 1;
}

// From this many tiles on, narrow weights are widened once per pass and group of panels instead of
// in every tile: measured on Zen 2 at 256x1152x1152, 0.63 of the FMA peak in the tile against 0.90
// (docs/performance.md).
inline constexpr int64_t kWidenedTiles = 3;

// Panels of a pass, widened: [width][k1 - k0][kLanes].
static inline void WidenPanels(float* out, const F16* panel, int64_t stride, int64_t width,
                               int64_t length) {
  for (int64_t p = 0; p < width; ++p) {
    for (int64_t k = 0; k < length; ++k) {
      Store(out + (p * length + k) * kLanes, Load(panel + p * stride + k * kLanes));
    }
  }
}
static inline void WidenPanels(float* out, const Bf16* panel, int64_t stride, int64_t width,
                               int64_t length) {
  for (int64_t p = 0; p < width; ++p) {
    for (int64_t k = 0; k < length; k += 2) {
      U pair;
      __builtin_memcpy(&pair, panel + p * stride + k * kLanes, sizeof(pair));
      Store(out + (p * length + k) * kLanes, (F)(pair << 16));
      if (k + 1 < length) Store(out + (p * length + k + 1) * kLanes, (F)(pair & 0xffff0000u));
    }
  }
}

// A pass over a block: terms k0 .. k1 of outputs n0 .. n1 for all its rows.
struct Pass {
  TileGroup group;
  int64_t k0, k1, n0, n1;
  bool resume;
  float* widened;  // room for a group of panels
};

template <typename W>
static inline void TilesOfPassIn(const GemmArgs& args, const Pass& pass) {
  const int64_t depth = args.weight_depth;
  const int64_t panels = (pass.n1 - pass.n0 + kLanes - 1) / kLanes;
  const W* weights = reinterpret_cast<const W*>(args.weights) + pass.n0 * depth + pass.k0 * kLanes;
  TileArgs tile;
  tile.count = pass.group.count;
  tile.c_pitch = pass.group.c_pitch;
  tile.resume = pass.resume;
  int64_t width = 0;
  for (int64_t p = 0; p < panels; p += width) {
    width = GroupWidth(pass.group.split, panels - p);
    const W* panel = weights + p * depth * kLanes;
    if constexpr (sizeof(W) == 2) {
      if (pass.group.split.tiles >= kWidenedTiles) {
        const int64_t length = pass.k1 - pass.k0;
        WidenPanels(pass.widened, panel, depth * kLanes, width, length);
        tile.panel = pass.widened;
        tile.panel_stride = length * kLanes;
        TilesOfPanels<float>(pass.group, tile, p, width);
        continue;
      }
    }
    tile.panel = panel;
    tile.panel_stride = depth * kLanes;
    TilesOfPanels<W>(pass.group, tile, p, width);
  }
}

static inline void TilesOfPass(const GemmArgs& args, const Pass& pass) {
  if (args.weight_dtype == DType::kBF16) {
    TilesOfPassIn<Bf16>(args, pass);
  } else if (args.weight_dtype == DType::kF16) {
    TilesOfPassIn<F16>(args, pass);
  } else {
    TilesOfPassIn<float>(args, pass);
  }
}

// Whether rows are read where they are: f32, and wide enough that addresses do not dominate.
IRODORI_INLINE bool ReadsInPlace(const GemmArgs& args) {
  return args.x_dtype == DType::kF32 &&
         (args.taps == 1 || (args.channels >= kDirectChannels && args.channels % 2 == 0));
}

// Byte offsets of the parts of a thread's scratch: results, partial sums, widened panels, gathered
// rows, places, stretches.
struct GemmScratch {
  int64_t sums, widened, gathered, places, stretches, bytes;
};
IRODORI_INLINE GemmScratch LayOutScratch(const GemmArgs& args) {
  const bool direct = ReadsInPlace(args);
  const int64_t results = RoundUp(args.row_block * RoundUp(args.column_block, kLanes) * 4, 64);
  const int64_t tiles = (args.row_block + kTileRows - 1) / kTileRows;
  const int64_t per_tile = direct ? args.depth / args.channels + 2 : 1;
  // No tile is wider than 8 panels, and none of three or more tiles wider than VectorsFor(2).
  const int64_t widened =
      args.weight_dtype == DType::kF32 ? 0 : VectorsFor(2) * args.depth * kLanes * 4;
  const int64_t gathered = direct ? 0 : args.row_block * (args.depth + kRunSlack) * 4;
  const int64_t places = args.row_block * static_cast<int64_t>(sizeof(RowPlace));
  GemmScratch scratch;
  scratch.sums = results;
  scratch.widened = scratch.sums + (args.k_block < args.k ? results : 0);
  scratch.gathered = scratch.widened + RoundUp(widened, 64);
  scratch.places = scratch.gathered + RoundUp(gathered, 64);
  scratch.stretches = scratch.places + RoundUp(places, 64);
  scratch.bytes = scratch.stretches + tiles * per_tile * static_cast<int64_t>(sizeof(Stretch));
  return scratch;
}

static inline int64_t GemmScratchBytes(const GemmArgs& args) { return LayOutScratch(args).bytes; }

static inline void GemmBlock(const GemmArgs& args, int64_t block, std::byte* scratch) {
  const int64_t total_rows = args.batch * args.rows;
  const int64_t m0 = block % args.row_blocks * args.row_block;
  const int64_t rows = MinOf(args.row_block, total_rows - m0);
  const int64_t n0 = block / args.row_blocks * args.column_block;
  const GemmScratch layout = LayOutScratch(args);
  float* sums = reinterpret_cast<float*>(scratch + layout.sums);
  float* gathered = reinterpret_cast<float*>(scratch + layout.gathered);
  RowPlace* places = reinterpret_cast<RowPlace*>(scratch + layout.places);
  Stretch* stretches = reinterpret_cast<Stretch*>(scratch + layout.stretches);

  Pass pass;
  pass.n0 = n0;
  pass.n1 = MinOf(n0 + args.column_block, args.n);
  pass.widened = reinterpret_cast<float*>(scratch + layout.widened);
  const int64_t c_pitch = RoundUp(pass.n1 - n0, kLanes);
  float* c = reinterpret_cast<float*>(scratch);
  pass.group = {SplitRows(rows), stretches, 0, c, c_pitch};
  if (args.k == 0) {
    for (int64_t i = 0; i < rows * c_pitch; i += kLanes) Store(c + i, F{});
  }

  FindRows(args, m0, rows, places);
  const bool partial = args.k_block < args.k;
  for (int64_t part = 0; part < args.k; part += args.k_block) {
    const int64_t part_end = MinOf(part + args.k_block, args.k);
    for (pass.k0 = part; pass.k0 < part_end; pass.k0 += args.depth) {
      pass.k1 = MinOf(pass.k0 + args.depth, part_end);
      pass.group.count =
          ReadsInPlace(args)
              ? DirectStretches(args, places, pass.group.split, pass.k0, pass.k1, stretches)
              : GatheredStretches(args, places, pass.group.split, pass.k0, pass.k1, gathered,
                                  stretches);
      pass.resume = pass.k0 > part;
      TilesOfPass(args, pass);
    }
    if (!partial) continue;
    for (int64_t i = 0; i < rows * c_pitch; i += kLanes) {
      Store(sums + i, part == 0 ? Load(c + i) : Load(sums + i) + Load(c + i));
    }
  }
  float* finished = partial ? sums : c;
  for (int64_t i = 0; i < rows; ++i) {
    FinishRun(args.finish, finished + i * c_pitch, (m0 + i) / args.rows,
              VectorOf(args, (m0 + i) % args.rows), n0, pass.n1 - n0);
  }
}

}  // namespace irodori::cpu::IRODORI_FAMILY
