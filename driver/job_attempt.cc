// The part of JobMachine that makes a batch: one attempt from its plan to its commit, and what its replies may make of it.
#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/limits.h"
#include "common/units.h"
#include "driver/job_machine.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

// After a failed attempt, so that a worker that refuses at once is not asked thousands of times a second.
constexpr int64_t kRetryMs = 50;
constexpr int64_t kRetryKafkaMs = 250;
constexpr int64_t kRetrySinksMs = 250;
// After the loss of a broker its successor may for a moment report older ends; a topic created again stays behind.
constexpr int64_t kTruncatedForMs = 10'000;

// What is told of Kafka, in words that go on after "waiting for".
std::string AwaitedOfKafka(const std::string& brokers, absl::string_view message) {
  if (absl::StartsWith(message, "Kafka at ")) {
    for (const char* trouble : {" is not reachable", " does not answer in time"}) {
      if (const size_t at = message.find(trouble); at != absl::string_view::npos)
        return absl::StrCat(message.substr(0, at), ", which", message.substr(at));
    }
  }
  return absl::StrCat("Kafka at ", brokers, ": ", message);
}

}  // namespace

void JobMachine::BeginAttempt(int64_t now_ms, Actions* actions) {
  // Asked only when what is known of the sinks no longer allows a batch.
  if (spec_.sinks().empty() || last_batch_.batch() < delivered_ + cluster_->sink_backlog) return BeginPlan(now_ms, actions);
  phase_ = Phase::kQueryingSinks;
  actions->push_back(QuerySinks{job_id_});
}

void JobMachine::OnSinks(const SinkStatus& slowest, int64_t now_ms, Actions* actions) {
  if (phase_ != Phase::kQueryingSinks || IsOver()) return;
  delivered_ = std::max(delivered_, slowest.delivered_batch());
  if (last_batch_.batch() < delivered_ + cluster_->sink_backlog) {
    BeginPlan(now_ms, actions);
  } else {
    EndAttempt(absl::StrCat("sink ", slowest.sink(), ", which is ", last_batch_.batch() - delivered_, " batches behind",
                            slowest.problem().empty() ? "" : ": ", slowest.problem()),
               now_ms + kRetrySinksMs);
  }
  Advance(now_ms, actions);
}

void JobMachine::BeginPlan(int64_t now_ms, Actions* actions) {
  if (assignment_.size() < Shards()) return EndAttempt("a worker: none has joined", now_ms + kRetryMs);
  phase_ = Phase::kQueryingEnds;
  started_ms_ = now_ms;
  actions->push_back(QueryEnds{job_id_, ++query_});
}

// Empty if every shard has a live owner, else what is waited for.
std::string JobMachine::CheckOwners() const {
  for (size_t s = 0; s < assignment_.size(); ++s) {
    const std::string& owner = assignment_[s].owner();
    const std::string& next = assignment_[s].next_owner();
    const auto worker = cluster_->workers.find(owner);
    if (!owner.empty() && worker != cluster_->workers.end() && worker->second.live) continue;
    std::string why = !owner.empty() ? absl::StrCat("worker ", owner, ", which owns shard ", s)
                      : next.empty() ? absl::StrCat("a worker that takes shard ", s)
                                     : absl::StrCat("shard ", s);
    if (!next.empty()) {
      absl::StrAppend(&why, ", now folded again by worker ", next, RefoldText(static_cast<uint32_t>(s)));
    } else if (!owner.empty() && !can_refold_) {
      absl::StrAppend(&why, " and alone has its state, since the log's start is gone");
    }
    return why;
  }
  return "";
}

void JobMachine::OnEnds(uint64_t query, const absl::StatusOr<std::vector<int64_t>>& ends, int64_t now_ms, Actions* actions) {
  if (phase_ != Phase::kQueryingEnds || query != query_ || IsOver()) return;
  if (!ends.ok()) {
    truncated_since_ms_.reset();
    EndAttempt(AwaitedOfKafka(brokers_, ends.status().message()), now_ms + kRetryKafkaMs);
    return Advance(now_ms, actions);
  }
  if (ends->size() != partitions_.size()) return EndAttempt("", now_ms);
  ends_ = *ends;
  ends_at_ms_ = now_ms;
  plan_ = PlanBatch(next_offsets_, ends_);
  if (!plan_.truncated.empty()) {
    const uint32_t p = plan_.truncated.front();
    const char* why = " up to which it is folded: it was created again or truncated";
    if (!truncated_since_ms_) truncated_since_ms_ = now_ms;
    if (now_ms - *truncated_since_ms_ >= kTruncatedForMs) {
      return Fail(absl::StrCat(Name(p), " ends at ", ends_[p], ", below offset ", next_offsets_[p], why), actions);
    }
    EndAttempt(absl::StrCat(Name(p), ", which ends at ", ends_[p], ", below offset ", next_offsets_[p], why),
               now_ms + kRetryKafkaMs);
    return Advance(now_ms, actions);
  }
  truncated_since_ms_.reset();
  // Only now: what is folded again may never get to where it has to, because the log is truncated.
  if (std::string ownerless = CheckOwners(); !ownerless.empty()) {
    EndAttempt(std::move(ownerless), now_ms + kRetryKafkaMs);
    return Advance(now_ms, actions);
  }

  bool told = true;
  for (const std::string& owner : Owners()) told &= IsAcknowledged(owner);
  if (plan_.lag == 0 && !VectorGrew() && told && uncompared_.empty()) {
    EndAttempt("", NextStartMs(started_ms_, now_ms, spec_.batch_interval_ms(), false));
    return Advance(now_ms, actions);
  }
  BeginAssign(now_ms, actions);
}

void JobMachine::BeginAssign(int64_t now_ms, Actions* actions) {
  phase_ = Phase::kAssigning;
  ++attempt_;
  const std::set<std::string> owners = Owners();
  owners_.assign(owners.begin(), owners.end());
  unanswered_.clear();
  for (const std::string& owner : owners_) {
    if (IsAcknowledged(owner)) continue;
    unanswered_.insert(owner);
    actions->push_back(SendAssign{owner, MakeAssign(owner)});
  }
  if (unanswered_.empty()) BeginFold(now_ms, actions);
}

void JobMachine::OnAssignReply(const std::string& worker, const AssignRequest& request,
                               const absl::StatusOr<AssignReply>& reply, int64_t now_ms, Actions* actions) {
  assigning_.erase(worker);
  if (IsOver() || request.id().epoch() != cluster_->epoch || request.id().assignment() != assignment_number_ ||
      request.partitions_size() != static_cast<int>(partitions_.size())) {
    return Advance(now_ms, actions);
  }
  const bool awaited = phase_ == Phase::kAssigning && request.id().attempt() == attempt_ && unanswered_.contains(worker);
  if (!reply.ok()) {
    Rest(worker, now_ms);
    if (awaited) EndAttempt(absl::StrCat("worker ", worker, ": ", reply.status().message()), now_ms + kRetryMs);
    return Advance(now_ms, actions);
  }
  acknowledged_[worker] = {request.id().incarnation(), assignment_number_};
  std::erase_if(doubtful_, [&](const auto& doubt) {
    const auto lists = [&](const auto& shards) {
      return std::find(shards.begin(), shards.end(), doubt.first) != shards.end();
    };
    return doubt.second == worker && !lists(request.owned()) && !lists(request.prepared());
  });
  for (const ShardPosition& position : reply->shards()) {
    const uint32_t s = position.shard();
    if (s >= assignment_.size() || assignment_[s].owner() != worker) continue;
    // A state that is not beyond the journal is compared with it before anything is added (R4).
    bool comparable = static_cast<int>(s) < last_batch_.digests_size();
    for (const PartitionOffset& offset : position.offsets()) {
      comparable &= offset.partition() < next_offsets_.size() && offset.next_offset() <= next_offsets_[offset.partition()];
    }
    if (comparable) {
      uncompared_.insert(s);
    } else {
      uncompared_.erase(s);
    }
  }
  if (awaited) {
    unanswered_.erase(worker);
    if (unanswered_.empty()) BeginFold(now_ms, actions);
  }
  Advance(now_ms, actions);
}

void JobMachine::BeginFold(int64_t now_ms, Actions* actions) {
  phase_ = Phase::kFolding;
  replies_.clear();
  unanswered_.clear();
  // Folded up to exactly the journal's offsets, the states can be compared with it.
  replaying_ = !uncompared_.empty();
  if (replica_ != nullptr) {
    BeginReplica();
  } else {
    known_.Begin(owners_.size());
  }
  for (size_t w = 0; w < owners_.size(); ++w) {
    const std::string& owner = owners_[w];
    FoldRequest request;
    *request.mutable_id() = MakeId(owner);
    for (uint32_t s = 0; s < assignment_.size(); ++s) {
      if (assignment_[s].owner() != owner) continue;
      for (const uint32_t p : PartitionsOf(s))
        AddOffset(p, replaying_ ? next_offsets_[p] : plan_.targets[p], request.mutable_targets());
    }
    request.set_exact(replaying_);
    request.set_budget_ms(FoldBudgetMs(spec_.batch_interval_ms(), overhead_ms_));
    if (replica_ == nullptr) {
      request.set_depth(2 * spec_.top());
      if (const auto it = thresholds_.find(owner); it != thresholds_.end()) *request.mutable_threshold() = it->second;
      known_.Quote(w, &request);
    } else if (const TotalReplica::Composition* part = replica_->PartOf(w)) {
      *request.mutable_since() = *part;
    }
    unanswered_.insert(owner);
    actions->push_back(SendFold{owner, std::move(request)});
  }
  replied_ms_ = now_ms;
}

void JobMachine::OnFoldReply(const std::string& worker, const FoldRequest& request, const absl::StatusOr<FoldReply>& reply,
                             int64_t now_ms, Actions* actions) {
  if (IsOver() || phase_ != Phase::kFolding || request.id().epoch() != cluster_->epoch ||
      request.id().attempt() != attempt_ || !unanswered_.contains(worker)) {
    return;
  }
  if (!reply.ok()) {
    acknowledged_.erase(worker);
    Rest(worker, now_ms);
    EndAttempt(absl::StrCat("worker ", worker, ": ", reply.status().message()), now_ms + kRetryMs);
    return Advance(now_ms, actions);
  }
  if (reply->has_failure()) return Fail(reply->failure().reason(), actions);
  replies_[worker] = *reply;
  unanswered_.erase(worker);
  if (unanswered_.empty()) BeginMerge(now_ms, actions);
  Advance(now_ms, actions);
}

std::string JobMachine::CheckCompositions() const {
  std::vector<bool> seen(partitions_.size(), false);
  for (const auto& [worker, reply] : replies_) {
    for (const PartitionOffset& offset : reply.composition()) {
      const uint32_t p = offset.partition();
      if (p >= partitions_.size() || assignment_[p % kShards].owner() != worker || seen[p]) {
        return absl::StrCat("worker ", worker, ", which sums partition index ", p, " although that is not its to sum");
      }
      if (offset.next_offset() < next_offsets_[p]) {
        return absl::StrCat("worker ", worker, " to fold ", Name(p), " from offset ", offset.next_offset(), " to ",
                            next_offsets_[p], " again");
      }
      seen[p] = true;
    }
  }
  for (uint32_t p = 0; p < seen.size(); ++p) {
    if (!seen[p]) return absl::StrCat("a sum of ", Name(p));
  }
  return "";
}

bool JobMachine::IsDoubtful(const ShardPosition& position) const {
  if (static_cast<int>(position.shard()) >= last_batch_.digests_size()) return false;
  for (const PartitionOffset& offset : position.offsets()) {
    if (offset.partition() >= next_offsets_.size() || offset.next_offset() != next_offsets_[offset.partition()])
      return false;
  }
  return !SameDigest(position.digest(), last_batch_.digests(static_cast<int>(position.shard())));
}

void JobMachine::Doubt(uint32_t shard, const std::string& worker, Actions* actions) {
  if (!can_refold_) {
    return Fail(absl::StrCat("the state of shard ", shard, " at worker ", worker, " has another digest than batch ",
                             last_batch_.batch(), ", and the log's start is gone, so that it cannot be folded again"),
                actions);
  }
  if (++doubts_[shard] > 1) {
    return Fail(absl::StrCat("shard ", shard, " folded again from the log has another digest than the journal: batch ",
                             last_batch_.batch(), " or one before it is doubtful"),
                actions);
  }
  LOG(ERROR) << "job " << name() << ": the state of shard " << shard << " at worker " << worker
             << " has another digest than batch " << last_batch_.batch()
             << " in the journal; the shard is folded again from the log";
  doubtful_[shard] = worker;
  // A composition of it says nothing of its sums.
  known_.Clear();
}

void JobMachine::BeginMerge(int64_t now_ms, Actions* actions) {
  uint64_t fold_us = 0;
  std::string waiting_for;
  for (const auto& [worker, reply] : replies_) {
    fold_us = std::max(fold_us, reply.fold_us());
    if (!waiting_for.empty() || reply.waiting_for().empty()) continue;
    // What it met and got over is nobody's trouble.
    for (const PartitionOffset& offset : reply.composition()) {
      const std::vector<int64_t>& targets = replaying_ ? next_offsets_ : plan_.targets;
      if (offset.partition() >= targets.size() || offset.next_offset() >= targets[offset.partition()]) continue;
      waiting_for = AwaitedOfKafka(brokers_, reply.waiting_for());
      break;
    }
  }
  for (const auto& [worker, reply] : replies_) {
    for (const ShardPosition& position : reply.shards()) {
      if (!IsDoubtful(position)) continue;
      const uint32_t shard = position.shard();
      EndAttempt(absl::StrCat("shard ", shard, ", whose state is doubtful"), now_ms);
      return Doubt(shard, assignment_[shard].owner(), actions);
    }
  }
  const std::string unfit = CheckCompositions();
  if (replaying_) {
    uncompared_.clear();
    for (const auto& [worker, reply] : replies_) {
      for (const PartitionOffset& offset : reply.composition()) {
        if (offset.partition() < next_offsets_.size() && offset.next_offset() < next_offsets_[offset.partition()]) {
          uncompared_.insert(offset.partition() % kShards);
        }
      }
    }
    return EndAttempt(waiting_for.empty() ? unfit : waiting_for, waiting_for.empty() ? now_ms : now_ms + kRetryMs);
  }
  if (!unfit.empty()) {
    acknowledged_.clear();
    return EndAttempt(unfit, now_ms + kRetryMs);
  }
  bool moved = VectorGrew();
  for (const auto& [worker, reply] : replies_) {
    for (const PartitionOffset& offset : reply.composition())
      moved |= offset.next_offset() != next_offsets_[offset.partition()];
  }
  if (!moved) {
    const bool stuck = plan_.lag > 0;
    if (stuck && waiting_for.empty()) waiting_for = absl::StrCat("records of Kafka at ", brokers_);
    return EndAttempt(waiting_for,
                      stuck ? now_ms + kRetryMs : NextStartMs(started_ms_, now_ms, spec_.batch_interval_ms(), false));
  }

  phase_ = Phase::kMerging;
  stuck_ = std::move(waiting_for);
  replied_ms_ = now_ms;
  look_ups_.clear();
  if (replica_ != nullptr) {
    MergeChanges(now_ms, actions);
  } else {
    MergeThresholds(now_ms, actions);
  }
}

void JobMachine::EndAttempt(std::string waiting_for, int64_t retry_ms) {
  phase_ = Phase::kIdle;
  unanswered_.clear();
  look_ups_.clear();
  waiting_for_ = std::move(waiting_for);
  next_start_ms_ = retry_ms;
}

}  // namespace tenfold
