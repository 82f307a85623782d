// std::mutex and std::condition_variable_any with the annotations that clang's -Wthread-safety checks: which member is
// guarded by which mutex (ABSL_GUARDED_BY), and which function needs it held (ABSL_EXCLUSIVE_LOCKS_REQUIRED). Abseil's own
// Mutex is not used because Debian's build of it is not instrumented, so that ThreadSanitizer sees races that are none.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <utility>

#include "absl/base/thread_annotations.h"

namespace tenfold {

class ABSL_LOCKABLE Mutex {
 public:
  // These names are the standard library's, so that its lock types work with a Mutex.
  void lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }
  bool try_lock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) { return mutex_.try_lock(); }

 private:
  std::mutex mutex_;
};

// Holds a mutex from construction to destruction.
class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) { mutex_->lock(); }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_->unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mutex_;
};

// A condition variable. A wait may also end spuriously, so the caller checks its condition again.
class CondVar {
 public:
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

  void Wait(Mutex* mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) { condition_.wait(*mutex); }
  // Waits until notified; false if the deadline has passed.
  template <typename Clock, typename Duration>
  bool WaitUntil(Mutex* mutex, std::chrono::time_point<Clock, Duration> deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    return condition_.wait_until(*mutex, deadline) == std::cv_status::no_timeout;
  }
  // Waits until notified; false if `stop` was requested.
  bool Wait(Mutex* mutex, const std::stop_token& stop) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    condition_.wait(*mutex, stop, [woken = false]() mutable { return std::exchange(woken, true); });
    return !stop.stop_requested();
  }
  // Waits for the whole duration, regardless of notifications; returns false as soon as `stop` is requested.
  template <typename Rep, typename Period>
  bool Sleep(Mutex* mutex, const std::stop_token& stop, std::chrono::duration<Rep, Period> duration)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    condition_.wait_for(*mutex, stop, duration, [] { return false; });
    return !stop.stop_requested();
  }

 private:
  std::condition_variable_any condition_;
};

}  // namespace tenfold
