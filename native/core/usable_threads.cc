// Counts CPUs the way a container means it.
#include "native/core/usable_threads.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <thread>

#include "native/core/cgroup.h"
#include "native/core/thread_team.h"

namespace irodori {
namespace {

// "200000 100000" is two CPUs; "max 100000", a quota of -1 or nothing at all is no limit.
double QuotaOf(const std::string& text) {
  std::istringstream numbers(text);
  double quota = 0;
  double period = 0;
  if (!(numbers >> quota >> period) || quota <= 0 || period <= 0) return 0;
  return quota / period;
}

double Tighter(double a, double b) { return a <= 0 ? b : b <= 0 ? a : std::min(a, b); }

int AffinityCount() {
#ifdef __linux__
  // Masks larger than cpu_set_t exist on machines with over 1024 CPUs; the call fails until the
  // mask is large enough.
  for (int cpus = CPU_SETSIZE; cpus <= (1 << 16); cpus *= 2) {
    cpu_set_t* set = CPU_ALLOC(cpus);
    if (set == nullptr) break;
    const size_t size = CPU_ALLOC_SIZE(cpus);
    const int count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (count > 0) return count;
  }
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

}  // namespace

double CgroupCpuQuota(std::string_view cgroups, const std::string& mount) {
  double tightest = 0;
  for (const CgroupFolder& folder : CgroupFolders(cgroups, mount, "cpu")) {
    const std::string text = folder.version_2 ? ReadText(folder.path + "cpu.max")
                                              : ReadText(folder.path + "cpu.cfs_quota_us") + " " +
                                                    ReadText(folder.path + "cpu.cfs_period_us");
    tightest = Tighter(tightest, QuotaOf(text));
  }
  return tightest;
}

int UsableThreads() {
  const int affinity = AffinityCount();
  const double quota = CgroupCpuQuota(ReadText(kOwnCgroups), kCgroupMount);
  // A part of a CPU still wants a thread: 1.5 CPUs are two.
  return quota <= 0 ? affinity
                    : std::clamp(static_cast<int>(std::ceil(std::min(quota, 1e6))), 1, affinity);
}

}  // namespace irodori
