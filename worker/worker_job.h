// One job at a worker: does what worker/job_core.h decides to state, sums and log, and answers the driver's requests.
// Thread-safe. Requests that touch the sums run one after another; a Prepare, which touches none, runs beside them, and an
// Assign alone. A request that is no longer the latest is cut short.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/limits.h"
#include "common/totals.h"
#include "job_spec.pb.h"
#include "state.pb.h"
#include "worker.pb.h"
#include "worker/bounded_totals.h"
#include "worker/job_core.h"
#include "worker/kept_changes.h"
#include "worker/memory_budget.h"
#include "worker/range_folder.h"
#include "worker/shard_store.h"

namespace tenfold {

class WorkerJob {
 public:
  struct Options {
    std::string cluster_id;
    std::string job_id;
    uint64_t incarnation = 0;
    // Outlives the object.
    ShardStore* store = nullptr;
    // Makes the folder of one lane (sums, or preparation) from the job's spec and brokers.
    std::function<absl::StatusOr<std::unique_ptr<RangeFolder>>(const AssignRequest& assign)> make_folder;
    // Of entries or changes in one reply, but for the highest.
    size_t part_bytes = kMaxMessageBytes / 4;
    size_t max_kept_changes = kMaxKeptChanges;
    // What the job may use from now on; less when others come.
    std::function<JobMemory()> memory = [] { return JobMemory(); };
    // The store refuses everything from now on: the process has to end, and starts again with what is durable.
    std::function<void(const absl::Status&)> store_failed = [](const absl::Status&) {};
  };

  // `found`: the job's states in the store.
  WorkerJob(const Options& options, const std::vector<ShardState>& found);

  absl::StatusOr<AssignReply> Assign(const AssignRequest& request);
  absl::StatusOr<PrepareReply> Prepare(const PrepareRequest& request);
  absl::StatusOr<FoldReply> Fold(const FoldRequest& request);
  absl::StatusOr<LookUpReply> LookUp(const LookUpRequest& request);

  // The job is over: waits for what runs, drops every state. Nothing may be asked of the object afterwards.
  absl::Status Drop();
  // What runs is cut short, what comes is refused with UNAVAILABLE.
  void Stop() { stopping_ = true; }

 private:
  // Does the plan; `unsound` receives the shards whose rows do not make their digest.
  absl::Status DoAssign(const AssignRequest& request, JobCore::AssignPlan* plan, std::vector<uint32_t>* unsound);
  // Scans a shard and adds its rows to the totals (1), takes them out (-1) or neither (0); returns their digest.
  absl::StatusOr<Uint128> ScanIntoTotals(uint32_t shard, int sign);
  absl::Status DropUnsound(const std::vector<uint32_t>& shards);
  absl::Status Persist(const FoldOutcome& outcome);
  absl::Status ToldIfFailed(absl::Status done) const;
  void SetMemoryLimits();
  absl::Status AddToTotals(const FoldOutcome& outcome);
  // Adds the entries that changed since the composition quoted, as `known_at_or_above` asks for them. False, and nothing is
  // added, if they are not known or too many for a reply.
  bool AnswerChanged(Units known_at_or_above, FoldReply* reply);
  absl::Status Answer(const FoldRequest& request, FoldReply* reply);
  ShardKey Key(uint32_t shard) const { return {options_.job_id, shard}; }

  const Options options_;
  std::atomic<bool> stopping_ = false;
  // An Assign waits for the preparation to end.
  std::atomic<bool> assign_waits_ = false;

  // One request of the lane at a time. An Assign takes both, sums first.
  std::mutex sums_mutex_;
  std::mutex prepare_mutex_;
  // Guarded by sums_mutex_ (and Assign's hold of both).
  std::unique_ptr<RangeFolder> sums_folder_;
  BoundedTotals totals_;
  KeptChanges kept_changes_;
  // Of the totals, when the changes kept began.
  uint64_t drops_at_base_ = 0;
  // Guarded by prepare_mutex_.
  std::unique_ptr<RangeFolder> prepare_folder_;
  // Set by Assign under both.
  JobSpec spec_;

  mutable std::mutex core_mutex_;
  JobCore core_;  // guarded by core_mutex_
};

}  // namespace tenfold
