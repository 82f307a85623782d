#include "common/process/system_limits.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <system_error>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

namespace fs = std::filesystem;

constexpr size_t kNoLimit = size_t{1} << 30;

// The number that the file holds; none for "max", or if there is no such file.
std::optional<size_t> ReadNumber(const fs::path& file) {
  std::ifstream stream(file);
  std::string text;
  size_t number = 0;
  if (!(stream >> text) || !absl::SimpleAtoi(text, &number)) return std::nullopt;
  return number;
}

// The directories of the control groups that the process is in and that may limit it, innermost first. A container may see
// only the root of its own.
std::vector<fs::path> ControlGroups(const std::string& proc, const std::string& cgroups) {
  std::vector<fs::path> groups;
  std::ifstream stream(proc + "/cgroup");
  for (std::string line; std::getline(stream, line);) {
    // "0::/PATH" of the one hierarchy of v2, "8:pids:/PATH" of one of v1's.
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3 || !(parts[1].empty() || parts[1] == "pids")) continue;
    const fs::path root = parts[1].empty() ? fs::path(cgroups) : fs::path(cgroups) / "pids";
    for (fs::path path = fs::path(parts[2]).relative_path(); !path.empty(); path = path.parent_path())
      groups.push_back(root / path);
    groups.push_back(root);
  }
  return groups;
}

}  // namespace

void RaiseOpenFiles() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) PLOG(WARNING) << "the limit of open files stays";
}

size_t OpenFilesLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kNoLimit;
  return limit.rlim_cur;
}

size_t ThreadsLimit(const std::string& proc, const std::string& cgroups) {
  size_t least = kNoLimit;
  rlimit limit{};
  // Root is exempt from it.
  if (geteuid() != 0 && getrlimit(RLIMIT_NPROC, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    least = std::min<size_t>(least, limit.rlim_cur);
  std::error_code error;
  const fs::directory_iterator tasks(proc + "/task", error);
  const auto own = error ? size_t{0} : static_cast<size_t>(std::distance(fs::begin(tasks), fs::end(tasks)));
  for (const fs::path& group : ControlGroups(proc, cgroups)) {
    const std::optional<size_t> most = ReadNumber(group / "pids.max");
    if (!most) continue;
    const size_t others = std::max(ReadNumber(group / "pids.current").value_or(own), own) - own;
    least = std::min(least, *most - std::min(*most, others));
  }
  return least;
}

}  // namespace tenfold
