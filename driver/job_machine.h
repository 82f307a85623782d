// One job's decisions at the driver: assign, plan, fold, merge, commit, publish, and what follows when something is lost.
// A state machine without I/O, clocks or threads: events in, actions out. What it must remember it asks to be journalled,
// and acts on it only when Apply brings the record back, which is also how a driver that starts again gets here.
//
// Rules R3 to R7 of the design hold here. driver/job_attempt.cc has the part that makes a batch, driver/job_merge.cc its
// merge. Used by one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/limits.h"
#include "driver.pb.h"
#include "driver/action.h"
#include "driver/batch_planner.h"
#include "driver/global_top_k.h"
#include "driver/known_entries.h"
#include "driver/merge_choice.h"
#include "driver/total_replica.h"
#include "journal.pb.h"
#include "worker.pb.h"

namespace tenfold {

struct WorkerInfo {
  std::string address;
  uint64_t incarnation = 0;
  int64_t last_heard_ms = 0;
  // Heard within its lease.
  bool live = false;
  // Jobs of which it has states.
  std::set<std::string> job_ids;
  // Shards it owns over all jobs.
  size_t shards = 0;
};

// All workers of the cluster, and what of the cluster every job needs to know. Owned by the coordinator.
struct ClusterView {
  std::string cluster_id;
  uint64_t epoch = 0;
  uint32_t lease_ms = 3000;
  uint64_t sink_backlog = kSinkBacklog;
  uint64_t merge_floor = kMergeFloorEntries;
  std::shared_ptr<MergeMemory> merge_memory = std::make_shared<MergeMemory>();
  // Before this time a worker that was never heard may still come back.
  int64_t awaiting_until_ms = 0;
  std::map<std::string, WorkerInfo> workers;
};

class JobMachine {
 public:
  // `cluster` outlives the object.
  JobMachine(const ClusterView* cluster, const JobSubmitted& submitted, int64_t submitted_at_ms);
  ~JobMachine();

  // A record of this job is journalled, now or before the driver started.
  void Apply(const JournalRecord& record, int64_t now_ms, Actions* actions);

  // Events. A reply that belongs to nothing under way is ignored.
  void OnWorkersChanged(int64_t now_ms, Actions* actions);
  void OnTime(int64_t now_ms, Actions* actions);
  // The driver stood still for so long: what it saw before and after does not show what was between.
  void OnPaused(int64_t paused_ms);
  void OnEnds(uint64_t query, const absl::StatusOr<std::vector<int64_t>>& ends, int64_t now_ms, Actions* actions);
  // `begins`: first offsets kept, by partition index.
  struct Found {
    std::vector<Partition> added;
    std::vector<int64_t> begins;
  };
  void OnPartitions(const absl::StatusOr<Found>& found, int64_t now_ms, Actions* actions);
  // `slowest`: the sink that has taken the fewest batches.
  void OnSinks(const SinkStatus& slowest, int64_t now_ms, Actions* actions);
  void OnAssignReply(const std::string& worker, const AssignRequest& request, const absl::StatusOr<AssignReply>& reply,
                     int64_t now_ms, Actions* actions);
  void OnPrepareReply(const std::string& worker, const PrepareRequest& request, const absl::StatusOr<PrepareReply>& reply,
                      int64_t now_ms, Actions* actions);
  void OnFoldReply(const std::string& worker, const FoldRequest& request, const absl::StatusOr<FoldReply>& reply,
                   int64_t now_ms, Actions* actions);
  void OnLookUpReply(const std::string& worker, const LookUpRequest& request, const absl::StatusOr<LookUpReply>& reply,
                     int64_t now_ms, Actions* actions);
  // The user cancels it: asks for the record that ends it.
  void Cancel(Actions* actions);

  // The next time OnTime has something to do if nothing else happens.
  int64_t NextTimeMs() const;

  JobState state() const;
  const std::string& job_id() const { return job_id_; }
  const std::string& name() const { return spec_.name(); }
  const JobSpec& spec() const { return spec_; }
  const std::string& brokers() const { return brokers_; }
  const std::vector<Partition>& partitions() const { return partitions_; }
  const std::vector<ShardAssignment>& assignment() const { return assignment_; }
  const BatchCommitted& last_batch() const { return last_batch_; }
  // As last seen.
  uint64_t lag() const;
  JobStatus Status() const;

 private:
  // Where the job stands in making a batch. kIdle also covers a job that failed or was cancelled.
  enum class Phase { kIdle, kQueryingSinks, kQueryingEnds, kAssigning, kFolding, kMerging, kCommitting };

  struct Acknowledged {
    uint64_t incarnation = 0;
    uint64_t assignment = 0;
  };
  struct PrepareUnderWay {
    uint64_t incarnation = 0;
    uint64_t assignment = 0;
    int64_t sent_ms = 0;
    // The batch whose offsets are the targets, and its digests.
    std::vector<int64_t> next_offsets;
    std::vector<Digest> digests;
  };
  // What is left to ask one worker in this step of the merge.
  struct LookUpUnderWay {
    size_t index = 0;
    std::vector<LookUpRequest> left;
  };

  void Advance(int64_t now_ms, Actions* actions);
  bool Reassign(int64_t now_ms, Actions* actions);
  void BeginAttempt(int64_t now_ms, Actions* actions);
  void BeginPlan(int64_t now_ms, Actions* actions);
  void BeginAssign(int64_t now_ms, Actions* actions);
  void BeginFold(int64_t now_ms, Actions* actions);
  void BeginMerge(int64_t now_ms, Actions* actions);
  void MergeThresholds(int64_t now_ms, Actions* actions);
  void AskNext(int64_t now_ms, Actions* actions);
  void BeginReplica();
  void MergeChanges(int64_t now_ms, Actions* actions);
  void AddPart(std::map<std::string, LookUpUnderWay>::iterator part, const LookUpReply& reply, int64_t now_ms,
               Actions* actions);
  void CommitReplica(int64_t now_ms, Actions* actions);
  void GiveUpReplica(int64_t now_ms, Actions* actions);
  void Commit(const GlobalTopK::Result& result, int64_t now_ms, Actions* actions);
  // Gives the attempt up; the next starts at `retry_ms`.
  void EndAttempt(std::string waiting_for, int64_t retry_ms);
  void Fail(const std::string& reason, Actions* actions);
  void Append(JournalRecord record, Actions* actions);

  // Tells the workers that no attempt tells; then the prepared shards are folded on.
  void AssignOutsideAttempt(Actions* actions);
  void SendPrepares(int64_t now_ms, Actions* actions);

  void ApplyBatch(const BatchCommitted& batch, int64_t now_ms, Actions* actions);
  std::string CheckOwners() const;
  void NoteRefold(const ShardPosition& position, int64_t now_ms);
  // ": 3 of 10 offsets, 2 a second, 4 s left"; empty if nothing was told.
  std::string RefoldText(uint32_t shard) const;
  // Empty if the replies can be summed (R5), else why not.
  std::string CheckCompositions() const;
  // Of the replies, over all workers.
  uint64_t ChangedKeys() const;
  uint64_t Keys() const;
  // Exactly at the journal's offsets with another digest (R4).
  bool IsDoubtful(const ShardPosition& position) const;
  void Doubt(uint32_t shard, const std::string& worker, Actions* actions);

  // A batch is due although no offset moved: the first, and the first with partitions that were added.
  bool VectorGrew() const;
  static void AddOffset(uint32_t partition, int64_t next_offset,
                        google::protobuf::RepeatedPtrField<PartitionOffset>* offsets);
  static bool SameDigest(const Digest& a, const Digest& b);
  RequestId MakeId(const std::string& worker) const;
  AssignRequest MakeAssign(const std::string& worker) const;
  size_t Shards() const;
  std::set<std::string> Owners() const;
  std::vector<uint32_t> PartitionsOf(uint32_t shard) const;
  bool IsAcknowledged(const std::string& worker) const;
  bool IsKnown(const Partition& partition) const;
  // Whether a worker is left alone for a moment because it failed to do what it was asked.
  bool Rests(const std::string& worker) const;
  void Rest(const std::string& worker, int64_t now_ms);
  bool IsOver() const { return failed_ || cancelled_; }
  std::string Name(uint32_t partition) const;

  const ClusterView* const cluster_;
  const std::string job_id_;
  const JobSpec spec_;
  const std::string brokers_;
  const int64_t submitted_at_ms_;

  // Journalled.
  std::vector<Partition> partitions_;
  std::vector<ShardAssignment> assignment_;
  uint64_t assignment_number_ = 0;
  BatchCommitted last_batch_;
  // last_batch_'s, with start offsets for what was added since.
  std::vector<int64_t> next_offsets_;
  bool failed_ = false;
  bool cancelled_ = false;
  std::string failure_;

  // A record is on its way to the journal: nothing else is decided until it is there.
  bool appending_ = false;
  bool cancel_asked_ = false;
  std::vector<Partition> found_partitions_;
  bool finding_partitions_ = false;
  int64_t next_find_ms_ = 0;

  // What is known of workers; void when the driver starts.
  std::map<std::string, Acknowledged> acknowledged_;
  std::set<std::string> assigning_;
  std::map<std::string, PrepareUnderWay> preparing_;
  // Shards whose state was not compared with the journal since its worker was assigned them; prepared shards that may change
  // hands, with the worker.
  std::set<uint32_t> uncompared_;
  std::map<uint32_t, std::string> ready_;
  // Shard -> worker that has to drop its state of it; and how often the shard was doubted.
  std::map<uint32_t, std::string> doubtful_;
  std::map<uint32_t, int> doubts_;
  bool can_refold_ = true;
  std::map<std::string, int64_t> rests_until_ms_;
  // How far the next owner of a shard has folded it again, in offsets, when it first told and last; void with the
  // assignment.
  struct Refold {
    int64_t first_ms = 0;
    int64_t first = 0;
    int64_t last_ms = 0;
    int64_t last = 0;
    int64_t total = 0;
  };
  std::map<uint32_t, Refold> refolds_;
  // How often a shard's preparation reached its targets.
  std::map<uint32_t, int> preparations_;

  // The attempt under way.
  Phase phase_ = Phase::kIdle;
  uint64_t attempt_ = 0;
  uint64_t query_ = 0;
  int64_t next_start_ms_ = 0;
  int64_t started_ms_ = 0;
  int64_t ends_at_ms_ = 0;
  int64_t replied_ms_ = 0;
  BatchPlan plan_;
  bool replaying_ = false;
  std::vector<std::string> owners_;
  std::set<std::string> unanswered_;
  std::map<std::string, FoldReply> replies_;
  std::unique_ptr<GlobalTopK> merge_;
  std::map<std::string, LookUpUnderWay> look_ups_;

  // Carried from batch to batch.
  std::vector<int64_t> ends_;
  std::map<std::string, Int128> thresholds_;
  KnownEntries known_{cluster_->merge_memory};
  MergeChoice choice_;
  // There while batches are merged by changes.
  std::unique_ptr<TotalReplica> replica_;
  std::vector<PartitionState> counters_;
  // What a batch takes beside its fold, averaged; a guess at first, as the first one may have a backlog.
  uint32_t overhead_ms_ = spec_.batch_interval_ms() / 4;
  double records_per_second_ = 0;
  std::optional<int64_t> truncated_since_ms_;
  // What it says it waits for, and what it will say once the batch under way is committed: a partition may be stuck while
  // others move.
  std::string waiting_for_;
  std::string stuck_;
  // Every sink has taken this batch, and some maybe more.
  uint64_t delivered_ = 0;
};

}  // namespace tenfold
