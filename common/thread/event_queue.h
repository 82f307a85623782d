// A queue of events for the one thread that owns what they change: anybody posts, that thread takes. Who only waits for a
// value uses the CondVar of mutex.h. Thread-safe.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "common/thread/mutex.h"

namespace tenfold {

template <typename Event>
class EventQueue {
 public:
  // False, and the event is dropped, once the queue is closed.
  bool Post(Event event) {
    {
      MutexLock lock(&mutex_);
      if (closed_) return false;
      events_.push_back(std::move(event));
    }
    changed_.NotifyAll();
    return true;
  }
  // Posts the event in place of all that were not taken yet.
  bool PostLatest(Event event) {
    {
      MutexLock lock(&mutex_);
      if (closed_) return false;
      events_.clear();
      events_.push_back(std::move(event));
    }
    changed_.NotifyAll();
    return true;
  }

  // Takes no more events. Those that are there are still handed out.
  void Close() {
    {
      MutexLock lock(&mutex_);
      closed_ = true;
    }
    changed_.NotifyAll();
  }
  // Takes no more events and drops those that are there.
  void Abort() {
    {
      MutexLock lock(&mutex_);
      closed_ = true;
      events_.clear();
    }
    changed_.NotifyAll();
  }

  // Waits for an event; nullopt once the queue is closed and empty.
  std::optional<Event> Take() {
    MutexLock lock(&mutex_);
    while (events_.empty() && !closed_) changed_.Wait(&mutex_);
    if (events_.empty()) return std::nullopt;
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }
  // Waits for an event and takes all that are there; none once the queue is closed and empty.
  std::deque<Event> TakeAll() {
    MutexLock lock(&mutex_);
    while (events_.empty() && !closed_) changed_.Wait(&mutex_);
    return std::exchange(events_, {});
  }
  // The same, until then at most.
  std::deque<Event> TakeAll(std::chrono::steady_clock::time_point deadline) {
    MutexLock lock(&mutex_);
    while (events_.empty() && !closed_ && changed_.WaitUntil(&mutex_, deadline)) continue;
    return std::exchange(events_, {});
  }

  bool IsClosed() const {
    MutexLock lock(&mutex_);
    return closed_;
  }
  // Closed, and everything in it was taken.
  bool IsDone() const {
    MutexLock lock(&mutex_);
    return closed_ && events_.empty();
  }
  // Waits for so long. False if the queue is closed by then, and as soon as it is.
  bool Sleep(std::chrono::steady_clock::duration duration) {
    const auto deadline = std::chrono::steady_clock::now() + duration;
    MutexLock lock(&mutex_);
    while (!closed_ && changed_.WaitUntil(&mutex_, deadline)) continue;
    return !closed_;
  }

 private:
  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<Event> events_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

// Runs tasks one after the other on a thread of its own. Its end waits for the task that runs, and drops the others.
class TaskThread {
 public:
  TaskThread() : thread_([this] { Run(); }) {}
  ~TaskThread() { tasks_.Abort(); }
  TaskThread(const TaskThread&) = delete;
  TaskThread& operator=(const TaskThread&) = delete;

  void Post(std::function<void()> task) { tasks_.Post(std::move(task)); }

 private:
  void Run() {
    while (const std::optional<std::function<void()>> task = tasks_.Take()) (*task)();
  }

  EventQueue<std::function<void()>> tasks_;
  // Last: it uses the queue.
  std::jthread thread_;
};

}  // namespace tenfold
