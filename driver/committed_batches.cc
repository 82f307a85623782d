#include "driver/committed_batches.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace tenfold {
namespace {

// How often a waiting call checks whether its caller has gone.
constexpr absl::Duration kLook = absl::Milliseconds(200);

}  // namespace

void CommittedBatches::Set(const std::string& job_id, uint64_t batch) {
  {
    MutexLock lock(&mutex_);
    batches_[job_id] = batch;
  }
  changed_.NotifyAll();
}

void CommittedBatches::Erase(const std::string& job_id) {
  {
    MutexLock lock(&mutex_);
    batches_.erase(job_id);
  }
  changed_.NotifyAll();
}

void CommittedBatches::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
}

absl::Status CommittedBatches::Wait(const std::string& job_id, uint64_t batch, absl::Time deadline,
                                    const std::function<bool()>& is_cancelled) {
  MutexLock lock(&mutex_);
  while (!stopping_) {
    const auto it = batches_.find(job_id);
    if (it == batches_.end() || it->second >= batch || is_cancelled()) return absl::OkStatus();
    const absl::Time now = absl::Now();
    if (now >= deadline) return absl::DeadlineExceededError(absl::StrCat("batch ", batch, " is not there yet"));
    changed_.WaitUntil(&mutex_, absl::ToChronoTime(std::min(deadline, now + kLook)));
  }
  return absl::UnavailableError("the driver is stopping");
}

}  // namespace tenfold
