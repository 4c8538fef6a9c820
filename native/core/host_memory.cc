// Aligned host memory and the Buffer made of it.
#include "native/core/host_memory.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <utility>

#include "native/core/large_pages.h"
#include "native/core/message.h"
#include "native/core/usable_memory.h"

namespace irodori {
namespace {

// From here on zeros are the system's own pages, which cost nothing until they are written; below,
// writing them takes microseconds.
constexpr int64_t kMappedBytes = 1 << 18;

// The address sanitizer sees where a block of the heap ends, not one of a region.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kRegions = false;
#else
constexpr bool kRegions = true;
#endif

bool Permitted(int64_t size_bytes) { return size_bytes >= 0 && size_bytes <= UsableMemoryBytes(); }

}  // namespace

void HostMemory::Free::operator()(std::byte* data) const {
  if (region != nullptr) {
    GiveBackPages(data, bytes);
  } else if (bytes > 0) {
    munmap(data, bytes);
  } else {
    std::free(data);
  }
}

// More than there is would be refused by some systems only when it is written to, with a signal.
HostMemory::HostMemory(int64_t size_bytes) : size_bytes_(size_bytes) {
  if (!Permitted(size_bytes)) return;
  const int64_t rounded =
      (size_bytes + kHostAlignment) / kHostAlignment * kHostAlignment;  // never 0
  data_.reset(
      static_cast<std::byte*>(std::aligned_alloc(kHostAlignment, static_cast<size_t>(rounded))));
}

HostMemory HostMemory::Zeros(int64_t size_bytes) {
  if (size_bytes < kMappedBytes) {
    HostMemory memory(size_bytes);
    if (memory.data() != nullptr) std::memset(memory.data(), 0, static_cast<size_t>(size_bytes));
    return memory;
  }
  if (!Permitted(size_bytes)) return {};
  const auto bytes = static_cast<size_t>(size_bytes);
  void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return {};
  return {static_cast<std::byte*>(pages), bytes, nullptr};
}

HostMemory HostMemory::InLargePages(int64_t size_bytes) {
  if (kRegions && size_bytes > 0 && size_bytes <= static_cast<int64_t>(kMostRegionBlock) &&
      Permitted(size_bytes)) {
    const auto bytes = static_cast<size_t>(size_bytes);
    const RegionBlock block = TakeRegionBlock(bytes);
    if (block.data != nullptr) return {block.data, bytes, block.region};
  }
  HostMemory memory(size_bytes);
  if (memory.data() != nullptr) AskForLargePages(memory.data(), static_cast<size_t>(size_bytes));
  return memory;
}

Status NoHostMemory(std::string_view place, int64_t size_bytes) {
  if (Permitted(size_bytes)) {
    return {Code::kOutOfMemory,
            Message(place, ": expected memory for ", size_bytes, " bytes, got none")};
  }
  return {Code::kOutOfMemory, Message(place, ": expected at most the ", UsableMemoryBytes(),
                                      " bytes this process may use, got ", size_bytes)};
}

Result<std::shared_ptr<Buffer>> HostBuffer::Allocate(int64_t size_bytes) {
  HostMemory memory = HostMemory::Zeros(size_bytes);
  if (memory.data() == nullptr) return NoHostMemory("buffer", size_bytes);
  return std::shared_ptr<Buffer>(new HostBuffer(std::move(memory)));
}

}  // namespace irodori
