#include "driver/core/last_replies.h"

#include <algorithm>

namespace tenfold {

void LastReplies::Take(const Attempt& attempt) {
  readers_.clear();
  windows_ = attempt.Windows();
  known_ = true;
  for (const auto& [worker, reply] : attempt.replies) {
    for (const PartitionState& partition : reply.partitions()) counters_[partition.partition()] = partition;
    if (reply.reader().kind() != READER_UNKNOWN) readers_[worker] = reply.reader();
  }
}

void LastReplies::SetLogs(AssignRequest* request) const {
  const auto is_known = [](const PartitionState& partition) { return !partition.topic_id().empty(); };
  if (std::ranges::none_of(counters_, is_known)) return;
  for (const PartitionState& partition : counters_) {
    KnownLog* log = request->add_logs();
    log->set_topic_id(partition.topic_id());
    log->set_kafka_cluster(partition.kafka_cluster());
  }
}

void LastReplies::Fill(JobStatus* status) const {
  for (size_t p = 0; p < counters_.size(); ++p)
    *status->mutable_partitions(static_cast<int>(p))->mutable_counters() = counters_[p];
  for (const auto& [worker, use] : readers_) {
    ReaderStatus* reader = status->add_readers();
    reader->set_worker(worker);
    *reader->mutable_reader() = use;
  }
}

}  // namespace tenfold
