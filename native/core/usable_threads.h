// How many threads the process may use: scheduling affinity and cgroup CPU quotas.
#pragma once

#include <string>
#include <string_view>

namespace irodori {

// CPUs' worth of time that the tightest cgroup quota above the process allows; 0 when there is
// none. Arguments as those of CgroupFolders. Reads cpu.max of version 2 and cpu.cfs_quota_us of
// version 1.
double CgroupCpuQuota(std::string_view cgroups, const std::string& mount);

}  // namespace irodori
