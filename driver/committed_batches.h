// Lets callers wait for a batch of a job: the number of each job's last committed one. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/thread/mutex.h"

namespace tenfold {

class CommittedBatches {
 public:
  void Set(const std::string& job_id, uint64_t batch);
  // Forgets a job that is gone, and releases the callers that wait for its batches.
  void Erase(const std::string& job_id);
  // Releases all callers that wait with UNAVAILABLE, and those that come later.
  void Stop();

  // Waits until the job has the batch, is gone, or `is_cancelled`, which is called a few times a second, says that the
  // caller has gone. DEADLINE_EXCEEDED, whose message is the name of the batch, after the deadline.
  absl::Status Wait(const std::string& job_id, uint64_t batch, absl::Time deadline,
                    const std::function<bool()>& is_cancelled);

 private:
  Mutex mutex_;
  CondVar changed_;
  std::map<std::string, uint64_t> batches_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tenfold
