// The process's place in the cgroup hierarchies: its limits are files in the folder of its group
// and of every group above.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace irodori {

struct CgroupFolder {
  std::string path;  // with a slash at its end
  bool version_2;    // the unified hierarchy
};

// The folders that may limit `controller` ("cpu", "memory"), of version 2 and of version 1: those
// of the process's group up to the root's. `cgroups` is the text of /proc/self/cgroup, `mount`
// where the hierarchies are mounted (/sys/fs/cgroup). Inside a container the group's path may not
// exist under the mount: then only the root's folder does.
std::vector<CgroupFolder> CgroupFolders(std::string_view cgroups, const std::string& mount,
                                        std::string_view controller);

// The content of a file, empty where it cannot be read.
std::string ReadText(const std::string& path);

inline constexpr const char* kOwnCgroups = "/proc/self/cgroup";
inline constexpr const char* kCgroupMount = "/sys/fs/cgroup";

}  // namespace irodori
