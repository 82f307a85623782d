// Standard output as a sink, shared by all jobs line by line. It may be a pipe that nobody reads, and it stays in
// blocking mode, as other processes share it. So only as much is written as it can take at once, which for a pipe is
// PIPE_BUF bytes.
#pragma once

#include <cstdint>
#include <string>

#include "common/thread/mutex.h"
#include "driver/sinks/sink_target.h"

namespace tenfold {

class StdoutTarget : public SinkTarget {
 public:
  // If its last line is not complete, it never will be, and the next line starts on a new one.
  ~StdoutTarget() override;

  absl::StatusOr<Last> Prepare() override { return Last(); }
  absl::Status Append(const std::string& line, const std::stop_token& stop) override;

 private:
  absl::Status AppendLocked(const std::string& line, const std::stop_token& stop) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Writes as much of `rest_` as standard output takes, waiting for at most `wait_ms`.
  absl::Status WriteSome(int wait_ms) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  static Mutex mutex_;
  // The sink whose line is written in part, if there is one.
  static StdoutTarget* unfinished_ ABSL_GUARDED_BY(mutex_);
  // Whether the last line lacks its newline.
  static bool torn_ ABSL_GUARDED_BY(mutex_);

  // The rest of the line that is not written yet.
  std::string rest_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tenfold
