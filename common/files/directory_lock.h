// A data directory has one process at a time. The lock ends with the process. Used by one thread.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace tenfold {

class DirectoryLock {
 public:
  DirectoryLock() = default;
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

  // Locks DIR/process.lock. FAILED_PRECONDITION, naming the directory, if another process has it; the system's error if that
  // file cannot be made.
  absl::Status Acquire(const std::string& dir);

 private:
  int fd_ = -1;
};

}  // namespace tenfold
