// What every job's decisions need to know of the cluster: its workers, its epoch and its options. The machine owns the
// one object and changes it; jobs read it. Times are microseconds of the decisions' clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "common/limits.h"
#include "driver/merge/merge_memory.h"

namespace tenfold {

struct WorkerInfo {
  // Where the driver reaches it, HOST:PORT.
  std::string address;
  // Which process of the worker was heard last.
  uint64_t incarnation = 0;
  int64_t last_heard_us = 0;
  // It was heard within its lease.
  bool live = false;
  // The jobs of which it has states.
  std::set<std::string> job_ids;
  // How many shards it owns, over all jobs.
  size_t shards = 0;
};

// The options of a driver on which its decisions depend.
struct ClusterOptions {
  // The brokers of jobs whose spec names none, HOST:PORT[,HOST:PORT].
  std::string kafka = {};
  // A worker that is silent for so long is lost.
  uint32_t lease_ms = 3000;
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

  // Nullptr unless the worker is live.
  const WorkerInfo* FindLive(const std::string& worker) const {
    const auto it = workers.find(worker);
    return it != workers.end() && it->second.live ? &it->second : nullptr;
  }
  bool IsLive(const std::string& worker) const { return FindLive(worker) != nullptr; }
};

}  // namespace tenfold
