// Memory for blocks of a few KiB to a few MiB in regions that the system may back by large pages.
//
// A large page takes one entry of the processor's page tables for 2 MiB where others take 512.
// Blocks smaller than a few of them, each somewhere on the heap, contain none; side by side in a
// region of whole large pages they lie in nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace irodori {

// Larger blocks waste little on a heap of small pages: only their ends are not in large ones.
inline constexpr size_t kMostRegionBlock = size_t{16} << 20;

// A block of a region; the region's addresses are given back with the last block of it.
struct RegionBlock {
  std::byte* data = nullptr;
  std::shared_ptr<void> region;
};

// Uninitialised, aligned to kHostAlignment, of 1 to kMostRegionBlock bytes; null where no region
// can be had. From any thread.
RegionBlock TakeRegionBlock(size_t bytes);

// Gives the whole pages of a block back to the system: what it held is gone. Its region must still
// be there.
void GiveBackPages(std::byte* data, size_t bytes);

// Asks for large pages where a range contains whole ones, before it is written.
void AskForLargePages(std::byte* data, size_t bytes);

}  // namespace irodori
