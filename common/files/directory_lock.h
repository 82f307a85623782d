// A data directory has one process at a time. The lock ends with the process. Used by one thread, but for Check.
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
  // FAILED_PRECONDITION, naming the directory, if that is not any more the one that was locked, or has lost this file: what
  // is written would be written to nowhere. Thread-safe.
  absl::Status Check(const std::string& file) const;

 private:
  std::string dir_;
  int fd_ = -1;
};

}  // namespace tenfold
