// One job at a worker: does what worker/core/job_core.h decides to state, sums and log, and answers the driver's requests.
// Thread-safe. Requests that touch the sums run one after another; a Prepare, which touches none, runs beside them, and an
// Assign alone. A request that is no longer the latest is cut short.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/limits.h"
#include "common/thread/mutex.h"
#include "job_spec.pb.h"
#include "state.pb.h"
#include "worker.pb.h"
#include "worker/core/job_core.h"
#include "worker/core/memory_budget.h"
#include "worker/fold/fold_task.h"
#include "worker/store/shard_store.h"
#include "worker/totals/job_sums.h"

namespace tenfold {

class WorkerJob {
 public:
  struct Options {
    std::string cluster_id;
    std::string job_id;
    uint64_t incarnation = 0;
    // Outlives the object.
    ShardStore* store = nullptr;
    // Makes the fold task of one lane (sums, or preparation) from the job's spec and brokers.
    std::function<absl::StatusOr<std::unique_ptr<FoldTask>>(const AssignRequest& assign)> make_fold_task;
    // As in PartialSums::Options.
    size_t part_bytes = kMaxMessageBytes / 4;
    size_t max_kept_changes = kMaxKeptChanges;
    // How much memory the job may use from now on; it becomes less when other jobs come.
    std::function<JobMemory()> memory = [] { return JobMemory(); };
    // The store refuses everything from now on: the process has to end, and starts again with what is durable.
    std::function<void(const absl::Status&)> store_failed = [](const absl::Status&) {};
  };

  // `found` are the job's states in the store.
  WorkerJob(Options options, const std::vector<ShardState>& found);

  // What proto/worker.proto says of each request.
  absl::StatusOr<AssignReply> Handle(const AssignRequest& request);
  absl::StatusOr<PrepareReply> Handle(const PrepareRequest& request);
  absl::StatusOr<FoldReply> Handle(const FoldRequest& request);
  absl::StatusOr<LookUpReply> Handle(const LookUpRequest& request);

  // The job is over: waits for what runs, drops every state. Nothing may be asked of the object afterwards; its destructor
  // may take seconds, since clients of Kafka end.
  absl::Status Drop();
  // Gives up memory beyond the job's share, which has become less since it was last asked for anything. False if it is asked
  // for something just now.
  bool KeepToShare();
  // Gives up what the job holds for more records than came of late; may take seconds.
  void Rest();
  // Cuts short the requests that run, and refuses those that come with UNAVAILABLE.
  void Stop() { stopping_ = true; }

 private:
  // Does the plan; `unsound` receives the shards whose rows do not make their digest.
  absl::Status DoAssign(const AssignRequest& request, JobCore::AssignPlan* plan, std::vector<uint32_t>* unsound)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(sums_mutex_, prepare_mutex_);
  // Makes the fold tasks that the assignment needs, and ends those that it does not, or that read another source.
  absl::Status MakeFoldTasks(const AssignRequest& request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(sums_mutex_, prepare_mutex_);
  absl::Status DropShards(const JobCore::AssignPlan& plan);
  absl::Status CreateShards(const AssignRequest& request, JobCore::AssignPlan* plan);
  // Scans the shards that join the sums and those that are to be verified.
  absl::Status ScanShards(const JobCore::AssignPlan& plan, std::vector<uint32_t>* unsound)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(sums_mutex_);
  // Scans a shard and adds its rows to the totals (1), takes them out (-1) or neither (0); returns their digest.
  absl::StatusOr<Uint128> ScanIntoTotals(uint32_t shard, int sign) ABSL_EXCLUSIVE_LOCKS_REQUIRED(sums_mutex_);
  // Scans a shard of a job with windows, and returns the digest of its rows and those of its panes.
  absl::StatusOr<Uint128> ScanPanes(uint32_t shard, std::map<uint64_t, Uint128>* panes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(sums_mutex_);
  absl::Status DropUnsound(const std::vector<uint32_t>& shards);
  // Drops the rows of owned shards that are of no later window than this.
  absl::Status DropClosed(int64_t closed_through, const Lineage& lineage) ABSL_EXCLUSIVE_LOCKS_REQUIRED(sums_mutex_);
  // Writes the outcome, with this lineage, or the worker's own if that is later.
  absl::Status Persist(FoldOutcome* outcome, WalMode wal, Lineage lineage);
  // Persists the outcome and adds it to the sums. If it cannot be persisted, the sums are no shard's any more.
  absl::Status PersistAndAdd(FoldOutcome* outcome, const Lineage& lineage, FoldReply* reply)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(sums_mutex_);
  // Leaves out the shards of the outcome that did not move.
  void DropUnmoved(FoldOutcome* outcome);
  absl::Status ToldIfFailed(absl::Status done) const;
  // Fills the reply's composition, positions and counters, and answers what the request wants.
  absl::Status Answer(const FoldRequest& request, FoldReply* reply) ABSL_EXCLUSIVE_LOCKS_REQUIRED(sums_mutex_);
  ShardKey Key(uint32_t shard) const { return {options_.job_id, shard}; }

  const Options options_;
  std::atomic<bool> stopping_ = false;
  // An Assign waits for the preparation to end.
  std::atomic<bool> assign_waits_ = false;

  // One request of the lane at a time. An Assign takes both, sums first.
  Mutex sums_mutex_;
  Mutex prepare_mutex_ ABSL_ACQUIRED_AFTER(sums_mutex_);
  std::unique_ptr<FoldTask> sums_task_ ABSL_GUARDED_BY(sums_mutex_);
  // What both tasks were made of.
  AssignRequest tasks_of_ ABSL_GUARDED_BY(sums_mutex_);
  JobSums sums_ ABSL_GUARDED_BY(sums_mutex_);
  std::unique_ptr<FoldTask> prepare_task_ ABSL_GUARDED_BY(prepare_mutex_);
  // The spec of the present assignment, a copy for each lane.
  WalMode sums_wal_ ABSL_GUARDED_BY(sums_mutex_) = WAL_SYNC;
  WalMode prepare_wal_ ABSL_GUARDED_BY(prepare_mutex_) = WAL_SYNC;
  // The same of what it says of schemas.
  std::shared_ptr<const LearnedSchemas> sums_schemas_ ABSL_GUARDED_BY(sums_mutex_);
  std::shared_ptr<const LearnedSchemas> prepare_schemas_ ABSL_GUARDED_BY(prepare_mutex_);

  mutable Mutex core_mutex_ ABSL_ACQUIRED_AFTER(sums_mutex_, prepare_mutex_);
  JobCore core_ ABSL_GUARDED_BY(core_mutex_);
};

}  // namespace tenfold
