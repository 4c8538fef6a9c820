// Reads /proc/self/cgroup and walks up from the group.
#include "native/core/cgroup.h"

#include <fstream>
#include <sstream>

namespace irodori {
namespace {

// Whether a word is among those between commas.
bool Lists(const std::string& words, std::string_view wanted) {
  std::istringstream list(words);
  for (std::string word; std::getline(list, word, ',');) {
    if (word == wanted) return true;
  }
  return false;
}

}  // namespace

std::vector<CgroupFolder> CgroupFolders(std::string_view cgroups, const std::string& mount,
                                        std::string_view controller) {
  std::vector<CgroupFolder> folders;
  std::istringstream lines{std::string(cgroups)};
  for (std::string line; std::getline(lines, line);) {  // id:controllers:path
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool version_2 = controllers.empty();
    if (!version_2 && !Lists(controllers, controller)) continue;
    const std::string hierarchy = version_2 ? mount : mount + "/" + controllers;
    std::string group = line.substr(second + 1);
    for (;;) {
      folders.push_back({hierarchy + (group == "/" ? "" : group) + "/", version_2});
      const size_t slash = group.rfind('/');
      if (slash == std::string::npos || group == "/") break;
      group.resize(slash);
    }
  }
  return folders;
}

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return file ? text.str() : "";
}

}  // namespace irodori
