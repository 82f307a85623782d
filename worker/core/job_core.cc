#include "worker/core/job_core.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "common/limits.h"
#include "common/number/framed_hash.h"
#include "glog/logging.h"
#include "google/protobuf/util/message_differencer.h"
#include "jobs/spec/job_spec.h"

namespace tenfold {
namespace {

std::pair<uint64_t, uint64_t> Order(const RequestId& id) { return {id.epoch(), id.attempt()}; }

// Returns a hash of each schema that the assignment says is known.
std::vector<uint64_t> HashesOf(const AssignRequest& request) {
  std::vector<uint64_t> hashes;
  for (const LearnedSchema& schema : request.schemas()) {
    FramedHash hash;
    hash.Add(schema);
    hashes.push_back(hash.Finish());
  }
  return hashes;
}

// Returns the id that the state of a shard must have under an assignment.
StateId IdOf(const AssignRequest& request, const std::vector<uint64_t>& schemas, uint32_t shard) {
  StateId id;
  id.set_cluster_id(request.id().cluster_id());
  id.set_job_id(request.id().job_id());
  id.set_fold_hash(FoldHash(request.spec()));
  id.set_shard(shard);
  for (int p = static_cast<int>(shard); p < request.partitions_size(); p += static_cast<int>(kShards)) {
    *id.add_partitions() = request.partitions(p);
  }
  id.mutable_schemas()->Add(schemas.begin(), schemas.end());
  return id;
}

// Whether the ids are equal, except that partitions may have been added to the job, and schemas learned, since the state was
// made.
bool IsPrefix(const StateId& old, const StateId& now) {
  if (old.partitions_size() > now.partitions_size() || old.schemas_size() > now.schemas_size()) return false;
  StateId cut = now;
  cut.mutable_partitions()->DeleteSubrange(old.partitions_size(), now.partitions_size() - old.partitions_size());
  cut.mutable_schemas()->Truncate(old.schemas_size());
  return google::protobuf::util::MessageDifferencer::Equals(old, cut);
}

// Appends partitions that were added later, at their start offsets, to the state of their shard (R2).
void AppendPartitions(const StateId& id, ShardState* state) {
  for (int j = state->partitions_size(); j < id.partitions_size(); ++j) {
    PartitionState* partition = state->add_partitions();
    partition->set_partition(id.shard() + static_cast<uint32_t>(j) * kShards);
    partition->set_next_offset(id.partitions(j).start_offset());
    partition->set_last_offset(-1);
  }
  *state->mutable_id() = id;
}

// Has the state, of which nothing is folded yet, read from the logs that the driver knows and from no others.
void BindToLogs(const AssignRequest& request, ShardState* state) {
  for (PartitionState& partition : *state->mutable_partitions()) {
    if (partition.partition() >= static_cast<uint32_t>(request.logs_size())) continue;
    const KnownLog& log = request.logs(static_cast<int>(partition.partition()));
    if (log.topic_id().empty()) continue;
    partition.set_topic_id(log.topic_id());
    partition.set_kafka_cluster(log.kafka_cluster());
  }
}

template <typename Shards>
bool Lists(const Shards& shards, uint32_t shard) {
  return std::find(shards.begin(), shards.end(), shard) != shards.end();
}

}  // namespace

void JobCore::Restore(const ShardState& state) {
  Shard& shard = shards_[state.id().shard()] = {state, Role::kNone, false};
  // Kept for the job as a whole.
  shard.state.clear_lineage();
  if (state.lineage().batch() > lineage_.batch()) lineage_ = state.lineage();
}

absl::Status JobCore::CheckMeant(const RequestId& id, const std::string& cluster_id) const {
  if (id.cluster_id() != cluster_id) {
    return absl::PermissionDeniedError(
        absl::StrCat("this worker belongs to cluster ", cluster_id, ", not ", id.cluster_id()));
  }
  if (id.incarnation() != incarnation_) return absl::FailedPreconditionError("the worker has started again since");
  return absl::OkStatus();
}

absl::Status JobCore::CheckLineage(const RequestId& id) const {
  const Lineage& journal = id.lineage();
  if (journal.batch() < lineage_.batch()) {
    return absl::OutOfRangeError(
        absl::StrCat("knows batch ", lineage_.batch(), " of the job, and the journal ends at batch ", journal.batch()));
  }
  if (journal.batch() == lineage_.batch() && journal.hash() != lineage_.hash()) {
    return absl::OutOfRangeError(absl::StrCat("knows another batch ", journal.batch(), " of the job than the journal has"));
  }
  return absl::OkStatus();
}

absl::Status JobCore::AdmitAssign(const RequestId& id, const std::string& cluster_id) {
  if (absl::Status meant = CheckMeant(id, cluster_id); !meant.ok()) return meant;
  if (Order(id) < seen_ || std::make_pair(id.epoch(), id.assignment()) < std::make_pair(assignment_epoch_, assignment_)) {
    return absl::AbortedError("a later request was seen");
  }
  if (absl::Status known = CheckLineage(id); !known.ok()) return known;
  seen_ = Order(id);
  return absl::OkStatus();
}

absl::Status JobCore::AdmitFold(const RequestId& id, const std::string& cluster_id) {
  if (absl::Status meant = CheckMeant(id, cluster_id); !meant.ok()) return meant;
  if (Order(id) < seen_) return absl::AbortedError("a later request was seen");
  if (id.assignment() != assignment_) return absl::FailedPreconditionError("the worker has another assignment");
  if (absl::Status known = CheckLineage(id); !known.ok()) return known;
  seen_ = Order(id);
  lineage_ = id.lineage();
  return absl::OkStatus();
}

absl::Status JobCore::AdmitPrepare(const RequestId& id, const std::string& cluster_id) const {
  if (absl::Status meant = CheckMeant(id, cluster_id); !meant.ok()) return meant;
  if (id.epoch() < seen_.first) return absl::AbortedError("a later request was seen");
  if (id.assignment() != assignment_) return absl::FailedPreconditionError("the worker has another assignment");
  return absl::OkStatus();
}

absl::Status JobCore::AdmitLookUp(const LookUpRequest& request, const std::string& cluster_id) {
  if (absl::Status fold = AdmitFold(request.id(), cluster_id); !fold.ok()) return fold;
  if (Order(request.id()) != answered_) return absl::FailedPreconditionError("the attempt has no sums here");
  std::map<uint32_t, int64_t> composition;
  for (const PartitionOffset& offset : request.composition()) composition[offset.partition()] = offset.next_offset();
  size_t partitions = 0;
  for (const auto& [s, shard] : shards_) {
    if (shard.role != Role::kOwned) continue;
    for (const PartitionState& partition : shard.state.partitions()) {
      ++partitions;
      const auto it = composition.find(partition.partition());
      if (it == composition.end() || it->second != partition.next_offset()) {
        return absl::FailedPreconditionError("the worker is not at the composition asked for");
      }
    }
  }
  if (partitions != composition.size())
    return absl::FailedPreconditionError("the worker is not at the composition asked for");
  return absl::OkStatus();
}

bool JobCore::IsSuperseded(const RequestId& id) const { return Order(id) < seen_; }

JobCore::AssignPlan JobCore::PlanAssign(const AssignRequest& request) const {
  AssignPlan plan;
  const std::vector<uint64_t> schemas = HashesOf(request);
  const auto keeps = [&](uint32_t s) { return Lists(request.owned(), s) || Lists(request.prepared(), s); };
  for (const auto& [s, shard] : shards_) {
    const bool same = keeps(s) && IsPrefix(shard.state.id(), IdOf(request, schemas, s));
    if (!same) plan.drop.push_back(s);
    if (shard.role == Role::kOwned && (!same || !Lists(request.owned(), s))) plan.leave.push_back(s);
  }
  const auto take = [&](uint32_t s, bool owned) {
    const auto it = shards_.find(s);
    const bool there = it != shards_.end() && !Lists(plan.drop, s);
    if (!there) {
      ShardState& state = plan.create.emplace_back();
      AppendPartitions(IdOf(request, schemas, s), &state);
      BindToLogs(request, &state);
    } else if (!it->second.verified) {
      plan.verify.push_back(s);
    }
    if (owned && !(there && it->second.role == Role::kOwned)) plan.join.push_back(s);
  };
  for (const uint32_t s : request.owned()) take(s, true);
  for (const uint32_t s : request.prepared()) take(s, false);
  return plan;
}

void JobCore::Assigned(const AssignRequest& request, const AssignPlan& plan) {
  for (const uint32_t s : plan.drop) shards_.erase(s);
  const std::vector<uint64_t> schemas = HashesOf(request);
  for (const ShardState& state : plan.create) shards_[state.id().shard()] = {state, Role::kNone, true};
  for (auto& [s, shard] : shards_) {
    AppendPartitions(IdOf(request, schemas, s), &shard.state);
    shard.role = Lists(request.owned(), s) ? Role::kOwned : Role::kPrepared;
    shard.verified = true;
  }
  assignment_ = request.id().assignment();
  assignment_epoch_ = request.id().epoch();
}

void JobCore::Forget(uint32_t shard) { shards_.erase(shard); }

void JobCore::ForgetRoles() {
  for (auto& [s, shard] : shards_) {
    shard.role = Role::kNone;
    shard.verified = false;
  }
}

absl::StatusOr<std::vector<JobCore::ShardRange>> JobCore::PlanFold(const FoldRequest& request) const {
  std::map<uint32_t, int64_t> targets;
  for (const PartitionOffset& target : request.targets()) targets[target.partition()] = target.next_offset();
  std::vector<ShardRange> ranges;
  size_t partitions = 0;
  for (const auto& [s, shard] : shards_) {
    if (shard.role != Role::kOwned) continue;
    ShardRange& range = ranges.emplace_back();
    range.state = shard.state;
    for (const PartitionState& partition : shard.state.partitions()) {
      const auto it = targets.find(partition.partition());
      if (it == targets.end()) return absl::FailedPreconditionError("the targets are not those of the worker's shards");
      range.ends.push_back(it->second);
      ++partitions;
    }
  }
  if (partitions != targets.size()) return absl::FailedPreconditionError("the targets are not those of the worker's shards");
  if (Order(request.id()) == answered_) ranges.clear();
  return ranges;
}

absl::StatusOr<std::vector<JobCore::ShardRange>> JobCore::PlanPrepare(const PrepareRequest& request) const {
  std::map<uint32_t, ShardRange> ranges;
  std::set<uint32_t> targets;
  for (const PartitionOffset& target : request.targets()) {
    const uint32_t s = target.partition() % kShards;
    const auto it = shards_.find(s);
    if (it == shards_.end() || it->second.role != Role::kPrepared) {
      return absl::FailedPreconditionError(absl::StrCat("the worker does not prepare shard ", s));
    }
    ShardRange& range = ranges[s];
    if (range.ends.empty()) {
      range.state = it->second.state;
      for (const PartitionState& partition : range.state.partitions()) range.ends.push_back(partition.next_offset());
    }
    const size_t j = target.partition() / kShards;
    if (j >= range.ends.size()) return absl::FailedPreconditionError("the worker does not know the partition yet");
    range.ends[j] = target.next_offset();
    targets.insert(target.partition());
  }
  std::vector<ShardRange> list;
  size_t partitions = 0;
  for (auto& [s, range] : ranges) {
    partitions += range.ends.size();
    list.push_back(std::move(range));
  }
  if (partitions != targets.size()) return absl::FailedPreconditionError("the targets are not those of the worker's shards");
  return list;
}

void JobCore::Persisted(const ShardState& state) {
  const auto it = shards_.find(state.id().shard());
  CHECK(it != shards_.end()) << "shard " << state.id().shard() << " of job " << job_id_ << " is not here";
  it->second.state = state;
}

void JobCore::Answered(const RequestId& id) { answered_ = Order(id); }

std::vector<uint32_t> JobCore::owned() const {
  std::vector<uint32_t> owned;
  for (const auto& [s, shard] : shards_) {
    if (shard.role == Role::kOwned) owned.push_back(s);
  }
  return owned;
}

google::protobuf::RepeatedPtrField<PartitionOffset> JobCore::Composition() const {
  google::protobuf::RepeatedPtrField<PartitionOffset> composition;
  for (const uint32_t s : owned()) composition.MergeFrom(Position(s).offsets());
  return composition;
}

ShardPosition JobCore::Position(uint32_t shard) const {
  const ShardState& state = shards_.at(shard).state;
  ShardPosition position;
  position.set_shard(shard);
  for (const PartitionState& partition : state.partitions()) {
    PartitionOffset* offset = position.add_offsets();
    offset->set_partition(partition.partition());
    offset->set_next_offset(partition.next_offset());
  }
  *position.mutable_digest() = state.digest();
  return position;
}

}  // namespace tenfold
