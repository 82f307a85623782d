// One attempt to make a batch of a job: where it stands and what it has so far. Each attempt starts as a new one, and its
// end leaves an empty one, so that nothing of an attempt outlives it. Times are microseconds of the decisions' clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "driver/core/batch_planner.h"
#include "driver/core/job_windows.h"
#include "driver/core/journalled_job.h"
#include "driver/merge/batch_merge.h"
#include "driver/merge/global_top_k.h"
#include "journal.pb.h"
#include "waiting.pb.h"
#include "worker.pb.h"

namespace tenfold {

struct Attempt {
  // What the replies wait for of what they were asked; of kind WAITING_NOT if nothing.
  Waiting Stuck(const JournalledJob& job) const;
  // Why the replies cannot be summed (R5): their compositions do not cover every journalled partition once, or one is below
  // the journal. Of kind WAITING_NOT if they can.
  Waiting Unfit(const JournalledJob& job) const;
  // Whether the replies move an offset beyond the journal.
  bool Moved(const JournalledJob& job) const;
  // The counters of the partitions, and the windows that have rows, by the replies.
  std::vector<const PartitionState*> Partitions() const;
  std::vector<WindowRange> Windows() const;
  // The partitions that cannot go on without a schema.
  std::set<uint32_t> NeedSchemas() const;
  // The window whose sums are asked for; nullopt without one.
  std::optional<int64_t> AskedWindow() const;
  // Takes a worker's reply. FAILED_PRECONDITION if it answered before, and is not where it was then.
  absl::Status Take(const std::string& worker, FoldReply reply);
  // Whether the reply to the request of this step is awaited from the worker.
  bool Awaits(const std::string& worker, uint64_t step) const;
  // The place of one of the owners among them.
  size_t PlaceOf(const std::string& owner) const;

  // PHASE_IDLE if there is no attempt.
  JobPhase phase = PHASE_IDLE;
  int64_t started_us = 0;
  // When Kafka had told the ends, and when the last worker had replied to the Fold.
  int64_t ends_at_us = 0;
  int64_t replied_us = 0;
  BatchPlan plan;
  // It folds to exactly the journalled offsets, to compare digests, and makes no batch.
  bool replays = false;
  // Workers that own shards, sorted; the merge knows them by their place.
  std::vector<std::string> owners;
  // The step of the request in flight to each worker, by worker id.
  std::map<std::string, uint64_t> awaited;
  // When the last of them was sent.
  int64_t asked_us = 0;
  // The worker of which the job says that it has yet to answer; empty if of none.
  std::string silent;
  // The replies to the Fold, by worker id.
  std::map<std::string, FoldReply> replies;
  // The window that the workers of a job with windows were asked for, and whether it is known to be the current one.
  std::optional<int64_t> window;
  bool window_settled = false;
  // Which partitions were idle when the ends were known, and whether a window is final without them, for which a batch is
  // due although no offset moves.
  JobWindows::Idle idle;
  bool decrees = false;
  // The batch's result, once it is merged.
  std::optional<GlobalTopK::Result> result;
  // The windows that become final with the batch: the first ones have their results, and the next one may be under way.
  JobWindows::Finals finals;
  std::vector<FinalWindow> final_results;
  std::unique_ptr<BatchMerge> final_merge;
  // What the job still waits for once the batch is committed: a partition may be stuck while others move.
  Waiting stuck;
};

}  // namespace tenfold
