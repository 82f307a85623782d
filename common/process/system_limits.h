// What the system allows this process at most.
#pragma once

#include <cstddef>
#include <string>

namespace tenfold {

// Raises the soft limit of open files to the hard one, as every job and every RocksDB file needs some. Best effort.
void RaiseOpenFiles();
// How many files the process may have open; a large number if there is no limit.
size_t OpenFilesLimit();

// How many threads the process may have, by the user's limit of processes and by those of its control groups
// (systemd's TasksMax, a container's --pids-limit), less those that others in a group have now; a large number if there is
// no limit. `proc` and `cgroups` are where the system tells of processes and groups.
size_t ThreadsLimit(const std::string& proc = "/proc/self", const std::string& cgroups = "/sys/fs/cgroup");

}  // namespace tenfold
