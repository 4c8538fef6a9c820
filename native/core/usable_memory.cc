// Counts memory the way a container means it.
#include "native/core/usable_memory.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "native/core/cgroup.h"

namespace irodori {
namespace {

// "max" and what is no number are no limit; nor is version 1's largest multiple of a page, which
// stands for none.
int64_t LimitOf(const std::string& text) {
  constexpr int64_t kNoLimit = int64_t{1} << 62;
  int64_t bytes = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  return error == std::errc() && bytes > 0 && bytes < kNoLimit ? bytes : 0;
}

}  // namespace

int64_t CgroupMemoryLimit(std::string_view cgroups, const std::string& mount) {
  int64_t tightest = 0;
  for (const CgroupFolder& folder : CgroupFolders(cgroups, mount, "memory")) {
    const char* file = folder.version_2 ? "memory.max" : "memory.limit_in_bytes";
    const int64_t limit = LimitOf(ReadText(folder.path + file));
    if (limit > 0) tightest = tightest > 0 ? std::min(tightest, limit) : limit;
  }
  return tightest;
}

int64_t UsableMemoryBytes() {
  static const int64_t usable = [] {
    const auto physical = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
    const int64_t limit = CgroupMemoryLimit(ReadText(kOwnCgroups), kCgroupMount);
    return limit > 0 ? std::min(limit, physical) : physical;
  }();
  return usable;
}

}  // namespace irodori
