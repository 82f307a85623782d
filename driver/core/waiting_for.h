// Makes what a job waits for, by kind. Pure.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "driver/core/cluster_view.h"
#include "state.pb.h"
#include "waiting.pb.h"

namespace tenfold {

inline Waiting WaitingFor(WaitingKind kind) {
  Waiting waiting;
  waiting.set_kind(kind);
  return waiting;
}

// Returns whether two jobs wait for the same thing, regardless of its progress.
inline bool SameThing(const Waiting& a, const Waiting& b) {
  return a.kind() == b.kind() && a.subject() == b.subject() && a.worker() == b.worker() && a.shard() == b.shard() &&
         a.topic() == b.topic() && a.partition() == b.partition();
}

// For any worker to be there that can be used; says what is wrong with one that is there and cannot.
inline Waiting WaitingForWorkers(const ClusterView& cluster) {
  Waiting waiting = WaitingFor(WAITING_WORKERS);
  for (const auto& [id, worker] : cluster.workers) {
    const bool is_full = worker.problem.empty() && worker.state == WORKER_LIVE && !worker.HasRoom();
    if (worker.problem.empty() && !is_full) continue;
    waiting.set_worker(id);
    waiting.set_detail(is_full ? worker.FullText() : worker.problem);
  }
  return waiting;
}

inline Waiting WaitingForWorker(const std::string& worker, absl::string_view detail = "") {
  Waiting waiting = WaitingFor(WAITING_WORKER);
  waiting.set_worker(worker);
  waiting.set_detail(std::string(detail));
  return waiting;
}

inline Waiting WaitingForKafka(const std::string& brokers, absl::string_view detail = "") {
  Waiting waiting = WaitingFor(WAITING_KAFKA);
  waiting.set_subject(brokers);
  waiting.set_detail(std::string(detail));
  return waiting;
}

inline Waiting WaitingForPartition(WaitingKind kind, const Partition& partition, absl::string_view detail = "") {
  Waiting waiting = WaitingFor(kind);
  waiting.set_topic(partition.topic());
  waiting.set_partition(partition.partition());
  waiting.set_detail(std::string(detail));
  return waiting;
}

}  // namespace tenfold
