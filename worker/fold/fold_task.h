// Fetches, decodes and aggregates ranges of the log for a job at a worker, into what they add to each shard. The
// implementation is worker/fold/kafka_fold_task.h; the simulator has one that reads a log in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/number/units.h"
#include "jobs/decode/learned_schemas.h"
#include "state.pb.h"
#include "worker.pb.h"
#include "worker/core/job_core.h"
#include "worker/core/memory_budget.h"
#include "worker/fold/delta_table.h"

namespace tenfold {

struct FoldOptions {
  absl::Duration budget;
  // A fold that would take more memory ends early.
  JobMemory::Lane memory;
  // Whether to stop at exactly the ends; records read beyond one are left.
  bool exact = false;
  // Of a job with windows: rows of no later window than this are not kept.
  std::optional<int64_t> closed_through = std::nullopt;
  // What is journalled of the registry's schemas; null if nothing is. A partition stops at a record that names another one.
  std::shared_ptr<const LearnedSchemas> schemas = nullptr;
  // Polled between records read: true ends the fold early.
  std::function<bool()> stop;
};

struct FoldOutcome {
  struct Shard {
    // The range's state with its offsets, counters, samples, last record and digest advanced.
    ShardState state;
    // Every row key once: a key or, in a job with windows, a pane and a key (jobs/plan/pane_clock.h). The views are valid
    // until the task's next Fold.
    std::vector<Delta> deltas;
    // As ShardStore::Update has it.
    std::string drop_below = {};
  };
  // Every shard of the ranges, whether it moved or not.
  std::vector<Shard> shards;
  // Why the job must fail, with the partition and offset; then nothing else of the outcome is valid.
  std::optional<std::string> failure;
  // Where partitions stopped for want of a schema.
  std::vector<NeededSchema> needs_schemas;
  // A sentence about the trouble with Kafka that the fold waited for; empty if there was none.
  std::string waiting_for;
  // How long the thread that waited least had nothing to fold.
  absl::Duration waited;
  // What read the log; of unknown kind if nothing did.
  ReaderUse reader;
};

// Used by one thread at a time.
class FoldTask {
 public:
  virtual ~FoldTask() = default;
  // Folds until every partition is at its end or beyond, or the budget is spent.
  virtual FoldOutcome Fold(const std::vector<JobCore::ShardRange>& ranges, const FoldOptions& options) = 0;
  // Gives up what it holds for more records than came of late. May take seconds.
  virtual void Rest() {}
};

}  // namespace tenfold
