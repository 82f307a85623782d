// Fetch, decode and aggregate for real: a job's ranges folded by a few threads, each with its own reader and its own
// shards, so that they share nothing. Used by one thread at a time.
//
// Where a fold leaves records, the threads fold on from there, aside, while what it made is persisted and merged. The next
// fold begins with that if it begins where the last one ended; else it is thrown away.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <semaphore>
#include <vector>

#include "absl/status/statusor.h"
#include "common/log.h"
#include "job_spec.pb.h"
#include "worker/range_folder.h"

namespace tenfold {

class BatchTask : public RangeFolder {
 public:
  // `threads`: the cores to fold on, 1 or more. Up to twice as many threads fold, so that the cores stay busy where shards
  // do not divide evenly; a shard belongs to one of them.
  static absl::StatusOr<std::unique_ptr<BatchTask>> Create(const JobSpec& spec, const LogConfig& log, size_t threads);
  ~BatchTask() override;

  FoldOutcome Fold(const std::vector<JobCore::ShardRange>& ranges, const FoldOptions& options) override;

 private:
  class Anchors;
  class FoldThread;

  explicit BatchTask(size_t threads);

  std::unique_ptr<Anchors> anchors_;
  // How many threads fold ahead at a time.
  std::counting_semaphore<> ahead_turns_;
  // Bytes that the threads gave up and the allocator may still hold.
  std::atomic<size_t> given_up_ = 0;
  std::vector<std::unique_ptr<FoldThread>> threads_;
};

}  // namespace tenfold
