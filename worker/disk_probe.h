// Whether the worker's disk takes writes: a worker whose disk hangs still sends heartbeats. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/thread/event_queue.h"
#include "common/thread/mutex.h"

namespace tenfold {

class DiskProbe {
 public:
  ~DiskProbe();
  // Makes the file DIR/probe, which is overwritten from then on, so that a full disk does not matter.
  absl::Status Open(const std::string& data_dir);
  // Begins a durable write unless one is under way, and says how the last one ended; FAILED_PRECONDITION if the one under
  // way has not ended for 5 s, since a busy disk may take that long. The message follows the worker's name.
  absl::Status Check();

 private:
  void Write();

  std::string path_;
  int fd_ = -1;
  Mutex mutex_;
  absl::Status last_ ABSL_GUARDED_BY(mutex_);
  // When the write under way began; in the future if none is.
  absl::Time began_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  // Its thread uses the others.
  std::unique_ptr<TaskThread> writer_ = std::make_unique<TaskThread>();
};

}  // namespace tenfold
