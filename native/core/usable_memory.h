// How much memory the process may use: the machine's, and the limits of its cgroups.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace irodori {

// Bytes that the tightest cgroup above the process allows; 0 when none has a limit. Arguments as
// those of CgroupFolders. Reads memory.max of version 2 and memory.limit_in_bytes of version 1.
int64_t CgroupMemoryLimit(std::string_view cgroups, const std::string& mount);

// Physical memory, or less where a cgroup says so. Read once: asking is free afterwards.
int64_t UsableMemoryBytes();

}  // namespace irodori
