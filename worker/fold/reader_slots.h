// How many readers of Kafka a worker may have beyond the one of each fold, so that its open files suffice for all jobs.
// Thread-safe.
#pragma once

#include <algorithm>
#include <cstddef>

#include "common/thread/mutex.h"

namespace tenfold {

class ReaderSlots {
 public:
  explicit ReaderSlots(size_t free) : free_(free) {}

  // Takes as many as there are, `wanted` at most, and returns how many that is.
  size_t Take(size_t wanted) {
    MutexLock lock(&mutex_);
    const size_t taken = std::min(wanted, free_);
    free_ -= taken;
    return taken;
  }
  void GiveBack(size_t taken) {
    MutexLock lock(&mutex_);
    free_ += taken;
  }

 private:
  Mutex mutex_;
  size_t free_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tenfold
