// Blocks of the matrix product: they fit the cache that there is, and cover every result once.
#include <array>
#include <vector>

#include "native/cpu/cpu_features.h"
#include "native/cpu/gemm/gemm.h"
#include "tests/native/check.h"

namespace irodori::test {
namespace {

using namespace cpu;

constexpr std::array<GemmTile, 4> kTiles = {{{8, 2, 6, 96, 192, 320, 16},
                                             {16, 32, 12, 96, 320, 384, 32},
                                             {8, 2, 4, 96, 192, 512, 512, 1},
                                             {16, 32, 32, 128, 256, 1024, 512, 2}}};

TEST(BlocksStayAsTunedWhereTheyFit) {
  for (const GemmTile& tile : kTiles) {
    const GemmTile fitted = FitToCache(tile, 1 << 20);
    CHECK(fitted.row_block == tile.row_block && fitted.column_block == tile.column_block);
    CHECK(fitted.depth == tile.depth);
  }
}

TEST(BlocksFitSmallCaches) {
  for (const GemmTile& tile : kTiles) {
    for (const int64_t cache : {512 << 10, 256 << 10, 128 << 10}) {
      const GemmTile fitted = FitToCache(tile, cache);
      CHECK(GemmBlockBytes(fitted) <= cache / 4 * 3);
      CHECK(fitted.row_block >= fitted.rows && fitted.column_block % (2 * fitted.lanes) == 0);
      CHECK(fitted.depth % 32 == 0 && fitted.depth > 0);
    }
    // Nothing fits: blocks of some size all the same.
    const GemmTile least = FitToCache(tile, 0);
    CHECK(least.row_block > 0 && least.column_block > 0 && least.depth > 0);
  }
  CHECK(SecondCacheBytes() > 0);
}

TEST(BlocksCoverEveryResultOnce) {
  for (const GemmTile& tile : kTiles) {
    for (const int64_t cache : {1 << 20, 256 << 10}) {
      for (const int64_t rows : {1, 7, 64, 257}) {
        GemmArgs args;
        args.batch = 2;
        args.rows = rows;
        args.k = args.channels = args.k_block = 384;
        args.n = 200;
        for (const int threads : {1, 2, 5}) {
          PlanGemmBlocks(FitToCache(tile, cache), threads, args);
          std::vector<int> seen(static_cast<size_t>(2 * rows * args.n));
          for (int64_t block = 0; block < args.row_blocks * args.column_blocks; ++block) {
            const GemmBlock at = GemmBlockOf(args, block);
            for (int64_t m = at.m0; m < at.m0 + at.rows; ++m) {
              for (int64_t n = at.n0; n < at.n1; ++n) ++seen[static_cast<size_t>(m * args.n + n)];
            }
          }
          for (const int times : seen) CHECK(times == 1);
        }
      }
    }
  }
}

}  // namespace
}  // namespace irodori::test
