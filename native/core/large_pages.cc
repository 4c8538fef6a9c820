// Regions: one after another, addresses handed out in ascending order and never again; a region
// goes with its last block.
#include "native/core/large_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <mutex>

#include "native/core/host_memory.h"
#include "native/core/rounding.h"

namespace irodori {
namespace {

constexpr size_t kLargePageBytes = size_t{1} << 21;
constexpr size_t kRegionBytes = size_t{64} << 20;
static_assert(kMostRegionBlock <= kRegionBytes);

// Tells the system about the whole pages of that size in a range. What it refuses changes nothing
// but time and memory.
void Advise(std::byte* data, size_t bytes, uintptr_t page, int advice) {
  const auto begin = reinterpret_cast<uintptr_t>(data);
  const uintptr_t first = RoundUp(begin, page);
  const uintptr_t end = (begin + bytes) / page * page;
  if (end > first) (void)madvise(reinterpret_cast<void*>(first), end - first, advice);
}

// Addresses of whole large pages; what nobody writes takes no memory.
class Region {
 public:
  Region() {
    void* pages = mmap(nullptr, kRegionBytes + kLargePageBytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return;
    mapped_ = pages;
    first_ =
        reinterpret_cast<std::byte*>(RoundUp(reinterpret_cast<uintptr_t>(pages), kLargePageBytes));
    AskForLargePages(first_, kRegionBytes);
  }
  ~Region() {
    if (mapped_ != nullptr) munmap(mapped_, kRegionBytes + kLargePageBytes);
  }
  Region(const Region&) = delete;
  Region& operator=(const Region&) = delete;

  // Null when it is full.
  std::byte* Take(size_t bytes) {
    if (mapped_ == nullptr || kRegionBytes - used_ < bytes) return nullptr;
    std::byte* block = first_ + used_;
    used_ = RoundUp(used_ + bytes, kHostAlignment);
    return block;
  }

 private:
  void* mapped_ = nullptr;
  std::byte* first_ = nullptr;
  size_t used_ = 0;
};

struct Regions {
  std::mutex mutex;
  std::shared_ptr<Region> current;
};

// Never destroyed: blocks may live until the very end of the process.
Regions& TheRegions() {
  static auto* regions = new Regions;
  return *regions;
}

}  // namespace

RegionBlock TakeRegionBlock(size_t bytes) {
  Regions& regions = TheRegions();
  const std::lock_guard lock(regions.mutex);
  std::shared_ptr<Region>& current = regions.current;
  // Blocks are made under this lock alone: the last one is gone, and its addresses can be had anew.
  if (current != nullptr && current.use_count() == 1) current.reset();
  std::byte* data = current != nullptr ? current->Take(bytes) : nullptr;
  if (data == nullptr) {
    current = std::make_shared<Region>();
    data = current->Take(bytes);
    if (data == nullptr) return {};
  }
  return {data, current};
}

void GiveBackPages(std::byte* data, size_t bytes) {
  static const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  Advise(data, bytes, page, MADV_DONTNEED);
}

void AskForLargePages(std::byte* data, size_t bytes) {
#ifdef MADV_HUGEPAGE
  Advise(data, bytes, kLargePageBytes, MADV_HUGEPAGE);
#else
  (void)data;
  (void)bytes;
#endif
}

}  // namespace irodori
