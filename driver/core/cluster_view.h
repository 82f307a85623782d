// What every job's decisions need to know of the cluster: its workers, its epoch and its options. The machine owns the
// one object and changes it; jobs read it. Times are microseconds of the decisions' clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "driver.pb.h"
#include "driver/merge/merge_memory.h"
#include "waiting.pb.h"

namespace tenfold {

struct WorkerInfo {
  // Where the driver reaches it, HOST:PORT.
  std::string address;
  // Which process of the worker was heard last.
  uint64_t incarnation = 0;
  int64_t last_heard_us = 0;
  // Only a live one is used (driver/core/membership.h).
  WorkerState state = WORKER_LOST;
  int64_t since_us = 0;
  // When the process answered a call last, 0 if it never did; and since when calls fail, 0 if the last one was answered.
  int64_t answered_us = 0;
  int64_t failing_since_us = 0;
  // Why it cannot be used, to follow its name; empty if it can, or is lost.
  std::string problem;
  // Whether a ping is in flight, when it was sent, and when the next one may be at the earliest.
  bool pinged = false;
  int64_t pinged_us = 0;
  int64_t ping_at_us = 0;
  // Processes that were heard before, the latest last.
  std::deque<uint64_t> former;
  // A sentence for its log.
  std::string notice;
  // The jobs of which it has states.
  std::set<std::string> job_ids;
  // How many shards it owns, over all jobs; and how many jobs it owns or prepares shards of.
  size_t shards = 0;
  size_t jobs = 0;
  // As in its heartbeats.
  size_t max_jobs = 0;
  std::string limit;

  // For so many more jobs.
  bool HasRoom(size_t more = 1) const { return max_jobs == 0 || jobs + more <= max_jobs; }
  // Why it takes no other job, to follow its name.
  std::string FullText() const {
    const std::string runs = absl::StrCat("runs ", jobs, jobs == 1 ? " job, " : " jobs, ");
    // It was started again with a lower limit.
    if (jobs > max_jobs) return absl::StrCat(runs, "and ", limit, " allows ", max_jobs);
    return absl::StrCat(runs, "as many as ", limit, " allows");
  }
};

// The options of a driver on which its decisions depend.
struct ClusterOptions {
  // The brokers of jobs whose spec names none, HOST:PORT[,HOST:PORT].
  std::string kafka = {};
  // A worker that is silent for so long is lost.
  uint32_t lease_ms = 3000;
  // How many jobs there may be at a time, 0 for any number, and what allows no more.
  size_t max_jobs = 0;
  std::string limit = {};
  // The journal is a restored backup: this driver is obeyed also by workers that have obeyed later ones.
  bool restored = false;
  // A job waits for a sink that has yet to take so many batches.
  uint64_t sink_backlog = kSinkBacklog;
  // What the merges of all jobs together may take, in bytes, and what one of them may take in any case.
  uint64_t merge_memory = kMergeMemoryBytes;
  uint64_t least_merge = kLeastMergeBytes;
  // Entries and look-ups a worker: a merge by thresholds that costs no more is cheap enough (driver/merge/merge_choice.h).
  uint64_t merge_floor = kMergeFloorEntries;
};

struct ClusterView {
  explicit ClusterView(const ClusterOptions& given = {})
      : options(given),
        merge_memory(std::make_shared<MergeMemory>(MergeMemory{.limit = given.merge_memory, .least = given.least_merge})) {}

  const ClusterOptions options;
  const std::shared_ptr<MergeMemory> merge_memory;
  std::string cluster_id;
  uint64_t epoch = 0;
  // Before this time a worker that the journal knows and that was not heard yet may still come back; 0 once it is over.
  int64_t awaiting_until_us = 0;
  // By worker id; lost ones too.
  std::map<std::string, WorkerInfo> workers;

  int64_t LeaseUs() const { return int64_t{options.lease_ms} * 1000; }
  const WorkerInfo* Find(const std::string& worker) const {
    const auto it = workers.find(worker);
    return it != workers.end() ? &it->second : nullptr;
  }
  // Nullptr unless the worker is live.
  const WorkerInfo* FindLive(const std::string& worker) const {
    const WorkerInfo* found = Find(worker);
    return found != nullptr && found->state == WORKER_LIVE ? found : nullptr;
  }
  bool IsLive(const std::string& worker) const { return FindLive(worker) != nullptr; }
  // Returns which live worker has no room for another job, and why, if none has; "" if one has, or there is none.
  std::string NoRoom() const {
    std::string full;
    for (const auto& [id, worker] : workers) {
      if (worker.state != WORKER_LIVE) continue;
      if (worker.HasRoom()) return "";
      full = absl::StrCat("worker ", id, " ", worker.FullText());
    }
    return full;
  }
  // Says that in the detail, if so.
  void TellFull(Waiting* waiting) const {
    const std::string full = NoRoom();
    if (full.empty()) return;
    waiting->set_detail(absl::StrCat(waiting->detail().empty() ? "is lost" : waiting->detail(), ", and ", full));
  }
};

}  // namespace tenfold
