// The one matrix product of the CPU backend: Args of matmul and conv2d, both as a product with
// indirect rows.
//
//   out[m, n] = finish(sum over k of x(m)[k] w[n, k])            x [batch · rows, K], w [N, K]
//
// matmul: x(m) is one vector of K. conv2d: m is an output pixel (y, x), k = (ky, kx, c), and x(m)
// is kernelH · kernelW stretches of C channels found by address; a tap in the padding reads a
// vector of zeros. No im2col buffer exists.
//
// Weights lie in panels of `lanes` outputs: [ceil(N / lanes)][K][lanes] f32 or f16; bf16 as pairs
// of k, [ceil(N / lanes)][depth / 2][lanes][2], which widens with one shift and one mask and is
// what AMX tiles load; int8 as fours of k, [ceil(N / lanes)][depth / 4][lanes][4] (int8.h). depth
// is K rounded up to the family's unit; what lies beyond N or K is zero. A pack of folded weights
// has one such panel for each parity (folded_weights.h).
//
// Rounding: an output is one chain of FMAs in ascending k per partial sum of k_block terms, partial
// sums added in order. Nothing of it depends on the batch, on tiles, on edges or on threads.
#pragma once

#include "native/core/rounding.h"
#include "native/cpu/args.h"

namespace irodori::cpu {

// Where a row goes that is a pixel (y, x): to (step y + top, step x + left) of a picture `width`
// wide. step 0: rows go where they are.
struct PixelGrid {
  int64_t step = 0;
  int64_t top = 0, left = 0;
  int64_t width = 0;
};

struct GemmArgs {
  RowSource x;
  DType x_dtype = DType::kF32;
  int64_t x_pitch = 0;  // elements between vectors of x
  int64_t batch = 0;
  int64_t rows = 0;  // M of one batch row
  int64_t k = 0;
  int64_t n = 0;
  const std::byte* weights = nullptr;
  DType weight_dtype = DType::kF32;
  int64_t weight_depth = 0;  // terms of k from one panel to the next
  int64_t k_block = 0;       // terms per partial sum, a multiple of 32, or k

  // conv2d; a matmul has taps == 1 and channels == k.
  int64_t taps = 1;
  int64_t channels = 0;
  int64_t in_h = 0, in_w = 0, out_w = 0;
  int64_t kernel_w = 0;
  int64_t stride_h = 1, stride_w = 1;
  int64_t pad_top = 0, pad_left = 0;
  PixelGrid grid;
  const std::byte* zeros = nullptr;  // `channels` zeros of x_dtype

  // Job: blocks are numbered by GemmBlockOf.
  int64_t row_block = 0, row_blocks = 0;        // rows of [batch · rows]
  int64_t column_block = 0, column_blocks = 0;  // outputs, a multiple of lanes
  int64_t row_groups = 1;                       // of as many row blocks each
  int64_t depth = 0;                            // terms of k per pass over a block, even

  Finish finish;
};

// Rows m0 .. m0 + rows by outputs n0 .. n1.
struct GemmBlock {
  int64_t m0, rows, n0, n1;
};

// Block `block`: all blocks of a group of rows, in each column block from the first row to the
// last. Threads take ranges of blocks (thread_team.h), so with a group for each of them they go
// through the same weights side by side, over rows of their own.
static inline __attribute__((always_inline)) GemmBlock GemmBlockOf(const GemmArgs& args,
                                                                   int64_t block) {
  const int64_t rows = args.row_blocks / args.row_groups;
  const int64_t group = block / (rows * args.column_blocks);
  const int64_t in_group = block % (rows * args.column_blocks);
  const auto least = [](int64_t a, int64_t b) { return a < b ? a : b; };
  GemmBlock at;
  at.m0 = (group * rows + in_group % rows) * args.row_block;
  at.rows = least(args.row_block, args.batch * args.rows - at.m0);
  at.n0 = in_group / rows * args.column_block;
  at.n1 = least(at.n0 + args.column_block, args.n);
  return at;
}

// Where the outputs of the block that a thread probably takes after this one begin; n where its
// group of rows ends here.
static inline __attribute__((always_inline)) int64_t NextOutputs(const GemmArgs& args,
                                                                 int64_t block) {
  const int64_t next = block + 1;
  const int64_t of_group = args.row_blocks / args.row_groups * args.column_blocks;
  return next % of_group == 0 ? args.n : GemmBlockOf(args, next).n0;
}

// Where the pass behind the one that ends at term k1 of a block begins: in the same block, from n0
// on, or in the one at NextOutputs.
struct PassStart {
  int64_t n, k;
};
static inline __attribute__((always_inline)) PassStart PassAfter(const GemmArgs& args, int64_t n0,
                                                                 int64_t k1, int64_t next_n) {
  return k1 == args.k ? PassStart{next_n, 0} : PassStart{n0, k1};
}

// Rows a multiple of this many bytes apart drive each other out of a few sets of the first cache.
inline constexpr int64_t kCrowdedBytes = 2048;

// At least `count` floats, an odd number of cache lines: rows so far apart fall into different sets
// of the first cache.
static inline __attribute__((always_inline)) int64_t OddLines(int64_t count) {
  constexpr int64_t kLine = 16;
  return (CeilDiv(count, kLine) | 1) * kLine;
}

// Elements from row to row where they are laid down. A third of a line more, so that a tile comes
// to the end of its lines in one row after another: 89 % of the FMA peak against 86 (AVX-512).
static inline __attribute__((always_inline)) int64_t LaidPitch(int64_t terms) {
  return OddLines(terms) + 5;
}

// Tiles and cache blocks of a family, all tuned numbers: docs/performance.md.
struct GemmTile {
  int64_t lanes;      // outputs per panel
  int64_t bf16_unit;  // bf16 panels are filled up to a multiple of this many terms, int8 of twice
  int64_t rows;       // rows of the register tile
  int64_t row_block;  // rows of a block, at most
  int64_t column_block;    // outputs of a block, at most
  int64_t depth;           // terms per pass, at most
  int64_t speed = 512;     // multiply-adds per cycle
  int64_t term_bytes = 4;  // of a row, and of a panel for each output
};

// Bytes that a block of the largest size works on: its rows and results, and two groups of panels.
int64_t GemmBlockBytes(const GemmTile& tile);

// The tile with blocks that leave a quarter of the second cache for what passes through it. Blocks
// are tuned for 512 KiB and more (docs/performance.md); larger caches gain nothing by larger ones.
GemmTile FitToCache(GemmTile tile, int64_t second_cache_bytes,
                    int64_t (*block_bytes)(const GemmTile&) = &GemmBlockBytes);

// Terms of k in a panel.
int64_t GemmDepth(int64_t k, DType dtype, const GemmTile& tile);

// Bytes of weights in panels.
int64_t GemmPackBytes(int64_t n, int64_t k, DType dtype, const GemmTile& tile);

// Writes weights [n, k] into panels, rounded to `dtype` (f32, f16, bf16); kAborted when `abort` is
// set between two rows.
Status PackGemm(const float* weights, int64_t n, int64_t k, DType dtype, const GemmTile& tile,
                std::byte* out, AbortFlag abort);

// The schedule of partial sums: terms of k per sum, as attributes say it. Rounded up to 32, the
// terms of an AMX tile.
int64_t GemmKBlock(int64_t k, int64_t splits, int64_t k_block);

// Chooses row_block .. depth for the args' batch.
void PlanGemmBlocks(const GemmTile& tile, int threads, GemmArgs& args);

}  // namespace irodori::cpu
