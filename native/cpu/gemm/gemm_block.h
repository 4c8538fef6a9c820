// One block of the indirect matrix product of a kernel family: a job of GemmArgs, run by one
// thread.
//
// Loop nest of a block of rows x outputs, k in passes of `depth`:
//   pass: the rows' terms are laid down one row after another (or stay where they are, when they
//   lie so already)
//     panel group (stays in L1): tile of rows (read from L2): register tile over the pass, chains
//     parked in scratch; meanwhile the next group is fetched
//   after the last pass: partial sums are added up, and the rows of the block are finished and
//   stored
// A: row_block x depth, B: two groups of panels and C: row_block x column_block fit L2 together.
#pragma once

#include "native/cpu/finish.h"
#include "native/cpu/gemm/gemm.h"
#include "native/cpu/gemm/panel_group.h"

namespace irodori::cpu::IRODORI_FAMILY {

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

// laid[i pitch + k - k0] = x(m)[k], widened, for k0 <= k < k1 and every row i of a block.
static inline void LayRows(const GemmArgs& args, const RowPlace* places, int64_t rows, int64_t k0,
                           int64_t k1, float* laid, int64_t pitch) {
  const int64_t element_bytes = args.x_dtype == DType::kF32 ? 4 : 2;
  for (int64_t k = k0; k < k1;) {
    // Divisions take longer than a short run of a row: one of each for all rows.
    const int64_t tap = k / args.channels;
    const int64_t c = k - tap * args.channels;
    const int64_t length = MinOf(args.channels - c, k1 - k);
    const Tap at = TapOf(args, tap);
    float* values = laid + (k - k0);
    for (int64_t i = 0; i < rows; ++i, values += pitch) {
      const std::byte* source = TapAddress(args, places[i], at, element_bytes);
      if (source == nullptr) {
        for (int64_t j = 0; j < length; ++j) values[j] = 0;
      } else if (args.x_dtype == DType::kF32 && length < kLanes) {
        const float* from = reinterpret_cast<const float*>(source) + c;
        for (int64_t j = 0; j < length; ++j) values[j] = from[j];
      } else {
        LoadRun(values, source, args.x_dtype, c, length);
      }
    }
    k += length;
  }
}

// Rows of float32 that are equally far apart, where they are; pitch 0: they are not.
struct EqualRows {
  const float* first;
  int64_t pitch;
};
static inline EqualRows FindEqualRows(const GemmArgs& args, const RowPlace* places, int64_t rows) {
  if (args.x_dtype != DType::kF32 || args.taps > 1) return {nullptr, 0};
  const std::byte* first = TapAddress(args, places[0], Tap{0, 0}, 4);
  const std::byte* second = rows > 1 ? TapAddress(args, places[1], Tap{0, 0}, 4) : first + 4;
  if (first == nullptr || second == nullptr) return {nullptr, 0};
  const int64_t pitch = second - first;
  if (pitch % 4 != 0) return {nullptr, 0};
  for (int64_t i = 2; i < rows; ++i) {
    if (TapAddress(args, places[i], Tap{0, 0}, 4) != first + i * pitch) return {nullptr, 0};
  }
  return {reinterpret_cast<const float*>(first), pitch / 4};
}

// From this many tiles on, weights of 16 bits are widened by the topmost tile instead of in every
// tile: measured on Zen 2 at 256x1152x1152, 0.63 of the FMA peak in the tile against 0.90
// (docs/performance.md).
inline constexpr int kWidenedTiles = 3;
inline constexpr int64_t kWidenedPanels = 2;  // at a time

// Panels of a pass of integers, widened: [width][k1 - k0][kLanes].
static inline void WidenPanels(float* out, const Int8* panel, int64_t stride, int64_t width,
                               int64_t length) {
  for (int64_t p = 0; p < width; ++p) {
    for (int64_t k = 0; k < length; ++k) {
      Store(out + (p * length + k) * kLanes, TermOf(panel + p * stride, k));
    }
  }
}

// A pass over a block: terms k0 .. k1 of outputs n0 .. n1 for all its rows.
struct Pass {
  PitchedRows rows;
  int64_t k0, k1, n0, n1;
  float* widened;  // room for a group of panels
  PassStart next;
};

template <typename W>
static inline void TilesOfPassIn(const GemmArgs& args, const Pass& pass) {
  const int64_t stride = args.weight_depth * kLanes;
  const int64_t panels = CeilDiv(pass.n1 - pass.n0, kLanes);
  const W* weights = reinterpret_cast<const W*>(args.weights);
  const W* first = weights + pass.n0 * args.weight_depth + pass.k0 * kLanes;
  const int64_t length = pass.k1 - pass.k0;
  NextPanels ahead;
  ahead.stride = stride * static_cast<int64_t>(sizeof(W));
  ahead.bytes = length * kLanes * static_cast<int64_t>(sizeof(W));
  const bool widens = sizeof(W) == 2 && pass.rows.split.tiles >= kWidenedTiles;
  int64_t width = 0;
  for (int64_t p = 0; p < panels; p += width) {
    width = widens ? MinOf(panels - p, kWidenedPanels) : GroupWidth(pass.rows.split, panels - p);
    const W* panel = first + p * stride;
    const W* next = panel + width * stride;
    if (p + width >= panels) {
      next = weights + pass.next.n * args.weight_depth + pass.next.k * kLanes;
      if (pass.next.n >= args.n) ahead.bytes = 0;
    }
    ahead.data = reinterpret_cast<const std::byte*>(next);
    ahead.count = width;
    if constexpr (sizeof(W) == 1) {
      WidenPanels(pass.widened, panel, stride, width, length);
      MultiplyPanels<float>(pass.rows, pass.widened, length * kLanes, p, width, ahead);
    } else if (widens) {
      MultiplyMade<Making::kWidened, W>(pass.rows, panel, nullptr, stride, pass.widened, p, width,
                                        ahead);
    } else {
      MultiplyPanels<W>(pass.rows, panel, stride, p, width, ahead);
    }
  }
}

static inline void TilesOfPass(const GemmArgs& args, const Pass& pass) {
  if (args.weight_dtype == DType::kBF16) {
    TilesOfPassIn<Bf16>(args, pass);
  } else if (args.weight_dtype == DType::kF16) {
    TilesOfPassIn<F16>(args, pass);
  } else if (args.weight_dtype == DType::kI8) {
    TilesOfPassIn<Int8>(args, pass);
  } else {
    TilesOfPassIn<float>(args, pass);
  }
}

// Byte offsets of the parts of a thread's scratch: products, partial sums, widened panels, rows
// laid down, places of rows and of their results.
struct GemmScratch {
  int64_t sums, widened, rows, places, results, bytes;
};
IRODORI_INLINE GemmScratch LayOutScratch(const GemmArgs& args) {
  const int64_t products = args.row_block * OddLines(args.column_block) * 4;
  // No tile is wider than 8 panels.
  const int64_t wide = args.weight_dtype == DType::kF32  ? 0
                       : args.weight_dtype == DType::kI8 ? VectorsFor(1)
                                                         : kWidenedPanels;
  const int64_t widened = wide * args.depth * kLanes * 4;
  GemmScratch scratch;
  scratch.sums = products;
  scratch.widened = scratch.sums + (args.k_block < args.k ? products : 0);
  scratch.rows = scratch.widened + RoundUp(widened, 64);
  scratch.places =
      scratch.rows + RoundUp(args.row_block * LaidPitch(args.depth + kRunSlack) * 4, 64);
  scratch.results = scratch.places + args.row_block * static_cast<int64_t>(sizeof(RowPlace));
  scratch.bytes = scratch.results + args.row_block * static_cast<int64_t>(sizeof(std::byte*));
  return scratch;
}

// results[i]: where the block's row i will be stored from column n0 on.
static inline void FindResults(const GemmArgs& args, int64_t m0, int64_t rows, int64_t n0,
                               int64_t result_bytes, std::byte** results) {
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t vector = VectorOf(args, (m0 + i) % args.rows);
    results[i] = RowAt(args.finish.out, (m0 + i) / args.rows) +
                 (vector * args.finish.pitch + n0) * result_bytes;
  }
}

static inline int64_t GemmScratchBytes(const GemmArgs& args) { return LayOutScratch(args).bytes; }

static inline void MultiplyBlock(const GemmArgs& args, int64_t block, std::byte* scratch) {
  const auto [m0, rows, n0, n1] = GemmBlockOf(args, block);
  const GemmScratch layout = LayOutScratch(args);
  float* sums = reinterpret_cast<float*>(scratch + layout.sums);
  float* laid = reinterpret_cast<float*>(scratch + layout.rows);
  RowPlace* places = reinterpret_cast<RowPlace*>(scratch + layout.places);
  std::byte** results = reinterpret_cast<std::byte**>(scratch + layout.results);

  Pass pass;
  pass.n0 = n0;
  pass.n1 = n1;
  pass.widened = reinterpret_cast<float*>(scratch + layout.widened);
  const int64_t c_pitch = OddLines(pass.n1 - n0);
  float* c = reinterpret_cast<float*>(scratch);
  pass.rows = {SplitRows(rows), laid,    LaidPitch(args.depth + kRunSlack),       0, c, c_pitch,
               false,           nullptr, args.finish.dtype == DType::kF32 ? 4 : 2};
  if (args.k == 0) {
    for (int64_t i = 0; i < rows * c_pitch; i += kLanes) Store(c + i, F{});
  }

  FindRows(args, m0, rows, places);
  const EqualRows equal = FindEqualRows(args, places, rows);
  // Crowded rows of several blocks were spread before (gemm_step.cc).
  const bool in_place = equal.pitch != 0 && (rows == 1 || equal.pitch * 4 % kCrowdedBytes != 0);
  if (in_place) pass.rows.a_pitch = equal.pitch;
  const int64_t next_n = NextOutputs(args, block);
  FindResults(args, m0, rows, n0, pass.rows.result_bytes, results);
  const bool partial = args.k_block < args.k;
  for (int64_t part = 0; part < args.k; part += args.k_block) {
    const int64_t part_end = MinOf(part + args.k_block, args.k);
    for (pass.k0 = part; pass.k0 < part_end; pass.k0 += args.depth) {
      pass.k1 = MinOf(pass.k0 + args.depth, part_end);
      pass.rows.depth = pass.k1 - pass.k0;
      pass.rows.resume = pass.k0 > part;
      pass.rows.results = pass.k1 == args.k ? results : nullptr;
      pass.rows.a = in_place ? equal.first + pass.k0 : laid;
      if (!in_place) {
        LayRows(args, places, rows, pass.k0, pass.k1, laid, pass.rows.a_pitch);
      }
      pass.next = PassAfter(args, n0, pass.k1, next_n);
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
