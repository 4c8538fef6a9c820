// Block sizes of the matrix product: cache shares, and enough blocks for the threads.
#include <algorithm>

#include "native/cpu/gemm/gemm.h"

namespace irodori::cpu {
namespace {

constexpr int64_t kBlocksPerThread = 4;
// A block is not split below this many multiply-adds: about 2 us of one core.
constexpr int64_t kSmallestBlock = 50'000;

int64_t CeilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t RoundUp(int64_t a, int64_t b) { return CeilDiv(a, b) * b; }

// `total` cut into equal parts of at most `limit`, each a multiple of `unit`.
int64_t EvenParts(int64_t total, int64_t limit, int64_t unit) {
  if (total <= 0) return unit;
  return RoundUp(CeilDiv(total, CeilDiv(total, limit)), unit);
}

}  // namespace

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
  args.row_block = EvenParts(rows, tile.row_block, 1);
  args.column_block = EvenParts(args.n, tile.column_block, 2 * tile.lanes);
  const int64_t wanted = kBlocksPerThread * threads;
  const auto blocks = [&] {
    return CeilDiv(rows, args.row_block) * CeilDiv(args.n, args.column_block);
  };
  const auto terms = [&] { return args.row_block * args.column_block * args.k; };
  while (blocks() < wanted && terms() > 2 * kSmallestBlock) {
    const bool tall = args.row_block >= 4 * tile.rows;
    const bool wide = args.column_block >= 4 * tile.lanes;
    if (wide && (!tall || args.column_block > args.row_block)) {
      args.column_block = RoundUp(args.column_block / 2, 2 * tile.lanes);
    } else if (tall) {
      args.row_block = RoundUp(args.row_block / 2, tile.rows);
    } else {
      break;
    }
  }
  args.row_blocks = CeilDiv(rows, args.row_block);
  args.column_blocks = CeilDiv(args.n, args.column_block);
}

}  // namespace irodori::cpu
