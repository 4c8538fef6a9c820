// How many threads the process may use: scheduling affinity and cgroup CPU quotas.
#pragma once

#include <string>
#include <string_view>

namespace irodori {

// CPUs' worth of time that the tightest cgroup quota above the process allows; 0 when there is
// none. `cgroups` is the text of /proc/self/cgroup, `mount` where the hierarchies are mounted
// (/sys/fs/cgroup). Reads cpu.max of version 2 and cpu.cfs_quota_us of version 1, in the process's
// group and every group above it.
double CgroupCpuQuota(std::string_view cgroups, const std::string& mount);

}  // namespace irodori
