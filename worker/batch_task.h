// Fetch, decode and aggregate for real: a job's ranges folded by a few threads, each with its own reader and its own
// shards, so that they share nothing. Between folds the readers fetch ahead. Used by one thread at a time.
#pragma once

#include <memory>
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
  class FoldThread;

  BatchTask() = default;

  std::vector<std::unique_ptr<FoldThread>> threads_;
};

}  // namespace tenfold
