// Block sizes of the matrix product: cache shares, and enough blocks for the threads.
#include <algorithm>

#include "native/core/rounding.h"
#include "native/cpu/gemm/gemm.h"

namespace irodori::cpu {
namespace {

// What a block costs beside its multiply-adds, in cycles of about all processors: to begin with,
// for a result (stored, and its chain continued in every pass), for a term of a row, for a weight.
constexpr double kBlockCycles = 2500;
constexpr double kResultCycles = 0.5;
constexpr double kRowTermCycles = 0.1;
constexpr double kWeightCycles = 0.12;
// Threads are not equally fast: the others wait for the last block, for about this share of it.
constexpr double kTail = 0.3;

// Rows of a block, at most. What would take three blocks takes two of half as much again, and
// weights that come from memory are read twice: 256x1152x3456 reaches 83 % of the AVX-512 peak, 80
// in three blocks of 86 rows. Where there are more, 94 rows are better than 128 (1024x640x640: 83 %
// against 80). Cascade Lake, 2026-11-26.
int64_t MostRows(int64_t rows, int64_t row_block) {
  return rows > 2 * row_block && rows <= 3 * row_block ? CeilDiv(rows, 2) : row_block;
}

}  // namespace

int64_t GemmBlockBytes(const GemmTile& tile) {
  const int64_t group = 2 * tile.lanes;
  return tile.row_block * (tile.depth * tile.term_bytes + tile.column_block * 4) +
         2 * group * tile.depth * tile.term_bytes;
}

GemmTile FitToCache(GemmTile tile, int64_t second_cache_bytes,
                    int64_t (*block_bytes)(const GemmTile&)) {
  const int64_t room = second_cache_bytes / 4 * 3;
  const int64_t fewest_rows = 4 * tile.rows, fewest_columns = 4 * tile.lanes, least_depth = 64;
  while (block_bytes(tile) > room) {
    if (tile.row_block >= 2 * fewest_rows) {
      tile.row_block /= 2;
    } else if (tile.column_block >= 2 * fewest_columns) {
      tile.column_block = RoundUp(tile.column_block / 2, 2 * tile.lanes);
    } else if (tile.depth >= 2 * least_depth) {
      tile.depth = RoundUp(tile.depth / 2, 32);
    } else {
      break;
    }
  }
  return tile;
}

int64_t GemmKBlock(int64_t k, int64_t splits, int64_t k_block) {
  int64_t terms = splits > 1 ? CeilDiv(k, splits) : k;
  if (k_block > 0) terms = std::min(terms, k_block);
  return std::min(k, RoundUp(terms, 32));
}

void PlanGemmBlocks(const GemmTile& tile, int threads, GemmArgs& args) {
  const int64_t rows = args.batch * args.rows;
  const int64_t whole = std::max<int64_t>(args.k_block, 1);
  args.depth = EvenParts(whole, tile.depth, 32);
  if (args.taps > 1 && args.channels < whole) {
    // Passes begin at taps where they can.
    args.depth = args.channels > tile.depth ? EvenParts(args.channels, tile.depth, 32)
                                            : tile.depth / args.channels * args.channels;
    args.depth = RoundUp(args.depth, tile.bf16_unit);
  }
  const int64_t most_rows = MostRows(rows, tile.row_block);
  args.row_block = EvenParts(rows, most_rows, 1);
  args.column_block = EvenParts(args.n, tile.column_block, 2 * tile.lanes);
  double least = 0;
  for (int64_t columns = tile.column_block; columns > 0; columns -= 2 * tile.lanes) {
    const int64_t column_block = EvenParts(args.n, columns, 2 * tile.lanes);
    for (int64_t limit = most_rows; limit >= tile.rows; limit /= 2) {
      const int64_t row_block = EvenParts(rows, limit, 1);
      const auto height = static_cast<double>(row_block), width = static_cast<double>(column_block);
      const auto terms = static_cast<double>(args.k);
      const double cycles = height * width * terms / static_cast<double>(tile.speed) +
                            kBlockCycles + height * width * kResultCycles +
                            height * terms * kRowTermCycles + width * terms * kWeightCycles;
      const int64_t blocks = CeilDiv(rows, row_block) * CeilDiv(args.n, column_block);
      const double turns =
          static_cast<double>(CeilDiv(blocks, threads)) + (threads > 1 ? kTail : 0);
      if (least > 0 && turns * cycles >= least) continue;
      least = turns * cycles;
      args.row_block = row_block;
      args.column_block = column_block;
    }
  }
  args.row_blocks = CeilDiv(rows, args.row_block);
  args.row_groups = args.row_blocks % threads == 0 ? threads : 1;
  args.column_blocks = CeilDiv(args.n, args.column_block);
}

}  // namespace irodori::cpu
