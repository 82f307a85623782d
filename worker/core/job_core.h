// One job's decisions at a worker: which requests count (R5), which shards it has and in which role, what a request folds.
// A state machine without I/O, clocks or threads; worker/worker_job.h does what it decides.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "state.pb.h"
#include "worker.pb.h"

namespace tenfold {

class JobCore {
 public:
  JobCore(std::string job_id, uint64_t incarnation) : job_id_(std::move(job_id)), incarnation_(incarnation) {}

  // A state found on disk when the worker started. It is not trusted before it was scanned.
  void Restore(const ShardState& state);

  // Whether a request may be acted on now: ABORTED if a higher (epoch, attempt) was seen (for Prepare: a higher epoch),
  // FAILED_PRECONDITION if it is meant for another process or relies on another assignment, OUT_OF_RANGE (but for Prepare,
  // which may come late) if the worker knows a later batch, or another one. What is admitted counts as seen.
  absl::Status AdmitAssign(const RequestId& id, const std::string& cluster_id);
  absl::Status AdmitFold(const RequestId& id, const std::string& cluster_id);
  absl::Status AdmitLookUp(const LookUpRequest& request, const std::string& cluster_id);
  absl::Status AdmitPrepare(const RequestId& id, const std::string& cluster_id) const;
  // Whether a later request was admitted since, so that work on this one should end: its reply would be ignored.
  bool IsSuperseded(const RequestId& id) const;

  // What an assignment changes, in the order in which it has to be done.
  struct AssignPlan {
    // Shards that the job no longer has here, or has under another id (R2).
    std::vector<uint32_t> drop;
    // New states; that of shard 0 is stored with the initial scores.
    std::vector<ShardState> create;
    // Shards to scan, because this process has not scanned them yet.
    std::vector<uint32_t> verify;
    // Shards whose rows enter or leave the sums.
    std::vector<uint32_t> join;
    std::vector<uint32_t> leave;
  };
  AssignPlan PlanAssign(const AssignRequest& request) const;
  // The plan was carried out completely.
  void Assigned(const AssignRequest& request, const AssignPlan& plan);
  // The state is no longer in the store.
  void Forget(uint32_t shard);
  // The sums are void: the next assignment makes every owned shard join them.
  void ForgetRoles();

  // What is to be folded of one shard.
  struct ShardRange {
    ShardState state;
    // The offset to which each partition of the state is folded; at most next_offset if there is nothing to fold.
    std::vector<int64_t> ends;
  };
  // FAILED_PRECONDITION unless the targets are exactly the partitions of the owned shards. No ranges if this attempt was
  // answered before: until the next one nothing changes.
  absl::StatusOr<std::vector<ShardRange>> PlanFold(const FoldRequest& request) const;
  // FAILED_PRECONDITION unless the targets of each shard are all its partitions.
  absl::StatusOr<std::vector<ShardRange>> PlanPrepare(const PrepareRequest& request) const;
  // The latest lineage that the worker has folded under, which its states are written with.
  const Lineage& lineage() const { return lineage_; }
  // A shard's new state is persisted.
  void Persisted(const ShardState& state);
  // The attempt is about to be answered.
  void Answered(const RequestId& id);
  // The last answer cannot be gone on with: a LookUp is refused until the next Fold.
  void ForgetAnswer() { answered_ = {}; }

  std::vector<uint32_t> owned() const;
  const ShardState& state(uint32_t shard) const { return shards_.at(shard).state; }
  ShardPosition Position(uint32_t shard) const;
  // The composition of the sums: every partition of the owned shards with its next offset.
  google::protobuf::RepeatedPtrField<PartitionOffset> Composition() const;
  bool empty() const { return shards_.empty(); }

 private:
  enum class Role { kNone, kOwned, kPrepared };
  struct Shard {
    ShardState state;
    Role role = Role::kNone;
    // Whether this process has scanned or made the state.
    bool verified = false;
  };

  absl::Status CheckMeant(const RequestId& id, const std::string& cluster_id) const;
  absl::Status CheckLineage(const RequestId& id) const;

  const std::string job_id_;
  const uint64_t incarnation_;
  std::map<uint32_t, Shard> shards_;
  // The highest (epoch, attempt) that was admitted, and the one that a Fold last answered.
  std::pair<uint64_t, uint64_t> seen_;
  std::pair<uint64_t, uint64_t> answered_;
  Lineage lineage_;
  uint64_t assignment_ = 0;
  uint64_t assignment_epoch_ = 0;
};

}  // namespace tenfold
