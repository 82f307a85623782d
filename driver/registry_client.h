// Asks the registry of one job for schemas, on a thread of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/thread/event_queue.h"
#include "job_spec.pb.h"
#include "jobs/registry/schema_registry.h"
#include "state.pb.h"

namespace tenfold {

class RegistryClient {
 public:
  // Once `stop` is asked for, questions are given up.
  RegistryClient(std::vector<std::string> file_dirs, std::stop_token stop) : stop_(std::move(stop)) {
    access_.file_dirs = std::move(file_dirs);
    access_.is_cancelled = [this] { return stop_.stop_requested() || closing_.stop_requested(); };
  }
  // Waits, for a moment, until the question that is under way is given up.
  ~RegistryClient() { closing_.request_stop(); }
  RegistryClient(const RegistryClient&) = delete;
  RegistryClient& operator=(const RegistryClient&) = delete;

  // `done` is called on the thread with what AskRegistry returns, unless the question is given up first.
  void Ask(const SchemaRegistry& registry, uint32_t id, std::function<void(absl::StatusOr<LearnedSchema>)> done) {
    thread_.Post([this, registry, id, done = std::move(done)] {
      absl::StatusOr<LearnedSchema> answer = AskRegistry(registry, id, access_);
      if (!access_.is_cancelled()) done(std::move(answer));
    });
  }

 private:
  const std::stop_token stop_;
  std::stop_source closing_;
  RegistryAccess access_;
  // The last member, since its tasks use the others.
  TaskThread thread_;
};

}  // namespace tenfold
