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
  // The job is gone: who waits for a batch of it is released.
  void Erase(const std::string& job_id);
  // Releases all callers that wait with UNAVAILABLE, and those that come later.
  void Stop();

  // Waits until the job has the batch, is gone, or `is_cancelled` says that nobody wants to know any more; it is asked a few
  // times a second. DEADLINE_EXCEEDED, naming the batch alone, once the time is over.
  absl::Status Wait(const std::string& job_id, uint64_t batch, absl::Time deadline,
                    const std::function<bool()>& is_cancelled);

 private:
  Mutex mutex_;
  CondVar changed_;
  std::map<std::string, uint64_t> batches_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tenfold
