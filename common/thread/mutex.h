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
  // The names are those that the standard library's locks call.
  void lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }
  bool try_lock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) { return mutex_.try_lock(); }

 private:
  std::mutex mutex_;
};

// Holds the mutex as long as the object lives.
class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) { mutex_->lock(); }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_->unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mutex_;
};

// Waits end also without cause: look again at what is waited for.
class CondVar {
 public:
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

  void Wait(Mutex* mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) { condition_.wait(*mutex); }
  // False if the time is over.
  template <typename Clock, typename Duration>
  bool WaitUntil(Mutex* mutex, std::chrono::time_point<Clock, Duration> deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    return condition_.wait_until(*mutex, deadline) == std::cv_status::no_timeout;
  }
  // False if `stop` is asked for.
  bool Wait(Mutex* mutex, const std::stop_token& stop) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    condition_.wait(*mutex, stop, [woken = false]() mutable { return std::exchange(woken, true); });
    return !stop.stop_requested();
  }
  // Waits for so long, whatever is notified meanwhile. False, at once, if `stop` is asked for.
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
