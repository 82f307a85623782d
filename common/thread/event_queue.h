// A queue of events: any thread posts, and the one thread that owns the state that the events change takes them. A thread
// that only waits for a value uses mutex.h's CondVar instead. Thread-safe.
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
  // Appends an event. Returns false and drops the event if the queue is closed.
  bool Post(Event event) {
    {
      MutexLock lock(&mutex_);
      if (closed_) return false;
      events_.push_back(std::move(event));
    }
    changed_.NotifyAll();
    return true;
  }
  // Replaces all events that were not taken yet by this one. Returns false if the queue is closed.
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

  // Accepts no more events. Those in the queue can still be taken.
  void Close() {
    {
      MutexLock lock(&mutex_);
      closed_ = true;
    }
    changed_.NotifyAll();
  }
  // Accepts no more events and drops those in the queue.
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
  // Waits for an event and takes all there are; none once the queue is closed and empty.
  std::deque<Event> TakeAll() {
    MutexLock lock(&mutex_);
    while (events_.empty() && !closed_) changed_.Wait(&mutex_);
    return std::exchange(events_, {});
  }
  // The same, but waits no longer than until `deadline`.
  std::deque<Event> TakeAll(std::chrono::steady_clock::time_point deadline) {
    MutexLock lock(&mutex_);
    while (events_.empty() && !closed_ && changed_.WaitUntil(&mutex_, deadline)) continue;
    return std::exchange(events_, {});
  }

  bool IsClosed() const {
    MutexLock lock(&mutex_);
    return closed_;
  }
  // Whether the queue is closed and all events were taken.
  bool IsDone() const {
    MutexLock lock(&mutex_);
    return closed_ && events_.empty();
  }
  // Waits for `duration`, but no longer than until the queue is closed. Returns false if it is closed.
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

// Runs tasks one after the other on its own thread. The destructor waits for the running task and drops the others.
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
  // The last member, since the thread uses the queue.
  std::jthread thread_;
};

}  // namespace tenfold
