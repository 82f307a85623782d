// The FoldTask over Kafka. A job's ranges are folded by as many threads as the records are worth, each with its own reader
// and its own shards, so that they share nothing. Used by one thread at a time.
//
// Where a fold leaves records, the threads fold on from there, aside, while what it made is persisted and merged. The next
// fold begins with that if it begins where the last one ended; else it is thrown away.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/kafka/log.h"
#include "job_spec.pb.h"
#include "worker/fold/fold_task.h"
#include "worker/fold/fold_thread.h"
#include "worker/fold/reader_slots.h"

namespace tenfold {

class KafkaFoldTask : public FoldTask {
 public:
  // `cores`: how many to fold on, 1 or more. Up to twice as many threads fold, so that the cores stay busy where shards do
  // not divide evenly; a shard belongs to one of them. Each but the first takes one of the slots, which outlive the task.
  static absl::StatusOr<std::unique_ptr<KafkaFoldTask>> Create(const JobSpec& spec, const LogConfig& log, size_t cores,
                                                               ReaderSlots* slots);

  ~KafkaFoldTask() override {
    for (const auto& thread : threads_) thread->Stop();
    threads_.clear();
    slots_->GiveBack(extra_);
  }

  FoldOutcome Fold(const std::vector<JobCore::ShardRange>& ranges, const FoldOptions& options) override;
  void Rest() override;

 private:
  KafkaFoldTask(size_t cores, ReaderSlots* slots) : shared_(cores), slots_(slots) {}
  // How many threads fold the ranges, `most` at most.
  size_t Threads(const std::vector<JobCore::ShardRange>& ranges, size_t most);

  FoldShared shared_;
  ReaderSlots* const slots_;
  // Threads with a reader beyond the first, and when fewer may do.
  size_t extra_ = 0;
  absl::Time fewer_at_ = absl::InfinitePast();
  std::vector<std::unique_ptr<FoldThread>> threads_;
};

}  // namespace tenfold
