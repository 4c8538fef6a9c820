// Block sizes of Winograd's convolution: cache shares, and enough blocks for the threads.
#include <algorithm>

#include "native/core/rounding.h"
#include "native/cpu/gemm/winograd.h"

namespace irodori::cpu {
namespace {

constexpr int64_t kBlocksPerThread = 4;

}  // namespace

void PlanWinogradBlocks(const GemmTile& gemm, const WinogradTile& winograd, int threads,
                        WinogradArgs& args) {
  const int64_t tiles = args.batch * args.tiles;
  args.depth = EvenParts(args.channels, winograd.depth, 32);
  args.tile_block = EvenParts(tiles, winograd.tiles, 1);
  args.column_block = EvenParts(args.n, winograd.column_block, 2 * gemm.lanes);
  const int64_t wanted = kBlocksPerThread * threads;
  const auto blocks = [&] {
    return CeilDiv(tiles, args.tile_block) * CeilDiv(args.n, args.column_block);
  };
  while (blocks() < wanted && args.column_block > 2 * gemm.lanes) {
    args.column_block = RoundUp(args.column_block / 2, 2 * gemm.lanes);
  }
  while (blocks() < wanted && args.tile_block >= 2 * gemm.rows) {
    args.tile_block = RoundUp(args.tile_block / 2, gemm.rows);
  }
  args.tile_blocks = CeilDiv(tiles, args.tile_block);
  args.column_blocks = CeilDiv(args.n, args.column_block);
}

}  // namespace irodori::cpu
