// Whether the worker's disk takes writes: a worker whose disk hangs still sends heartbeats. Thread-safe.
#pragma once

#include <atomic>
#include <string>

#include "absl/status/status.h"

namespace tenfold {

class DiskProbe {
 public:
  ~DiskProbe();
  // Makes the file DIR/probe, which is overwritten from then on, so that a full disk does not matter.
  absl::Status Open(const std::string& data_dir);
  // Writes durably; as long as the disk hangs this does not return, and further calls are FAILED_PRECONDITION at once. The
  // message follows the worker's name.
  absl::Status Check();

 private:
  std::string path_;
  int fd_ = -1;
  std::atomic<bool> under_way_ = false;
};

}  // namespace tenfold
