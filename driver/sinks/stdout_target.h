// Standard output as a sink. It belongs to all jobs, a line at a time. It may be a pipe that nobody reads and is left
// blocking, as it is shared with other processes: so it is only written what it is ready to take, which for a pipe is
// PIPE_BUF bytes.
#pragma once

#include <cstdint>
#include <string>

#include "common/thread/mutex.h"
#include "driver/sinks/sink_target.h"

namespace tenfold {

class StdoutTarget : public SinkTarget {
 public:
  // A line that is not whole by now never will be: the next one begins on a line of its own.
  ~StdoutTarget() override;

  absl::StatusOr<uint64_t> Prepare() override { return 0; }
  absl::Status Append(const std::string& line, const std::stop_token& stop) override;

 private:
  absl::Status AppendLocked(const std::string& line, const std::stop_token& stop) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Writes what standard output takes of `rest_`, waiting for so long at most.
  absl::Status WriteSome(int wait_ms) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  static Mutex mutex_;
  // The sink whose line is only begun, if there is one.
  static StdoutTarget* unfinished_ ABSL_GUARDED_BY(mutex_);
  // The last line has no newline.
  static bool torn_ ABSL_GUARDED_BY(mutex_);

  // The rest of the line that is not written yet.
  std::string rest_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tenfold
