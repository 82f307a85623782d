#include "driver/job_machine.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/limits.h"
#include "common/units.h"
#include "driver/assignment.h"
#include "glog/logging.h"
#include "jobs/job_spec.h"

namespace tenfold {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
// After a failed attempt, so that a worker that refuses at once is not asked thousands of times a second.
constexpr int64_t kRetryMs = 50;
constexpr int64_t kRetryKafkaMs = 250;
constexpr int64_t kFindPartitionsMs = 2'000;
// After the loss of a broker its successor may for a moment report older ends; a topic created again stays behind.
constexpr int64_t kTruncatedForMs = 10'000;
constexpr uint32_t kPrepareBudgetMs = 500;
constexpr size_t kLookUpBytes = 1 << 20;

std::vector<GlobalTopK::Partial> ToPartials(const google::protobuf::RepeatedPtrField<Entry>& entries) {
  std::vector<GlobalTopK::Partial> partials;
  partials.reserve(static_cast<size_t>(entries.size()));
  for (const Entry& entry : entries) partials.push_back({entry.key(), FromProto(entry.sum())});
  return partials;
}

PartitionOffset* AddOffset(google::protobuf::RepeatedPtrField<PartitionOffset>* offsets, uint32_t partition, int64_t next_offset) {
  PartitionOffset* offset = offsets->Add();
  offset->set_partition(partition);
  offset->set_next_offset(next_offset);
  return offset;
}

bool SameDigest(const Digest& a, const Digest& b) { return a.high() == b.high() && a.low() == b.low(); }

}  // namespace

JobMachine::JobMachine(const ClusterView* cluster, const JobSubmitted& submitted, int64_t submitted_at_ms)
    : cluster_(cluster),
      job_id_(submitted.job_id()),
      spec_(submitted.spec()),
      brokers_(submitted.brokers()),
      submitted_at_ms_(submitted_at_ms),
      partitions_(submitted.partitions().begin(), submitted.partitions().end()) {
  for (const Partition& partition : partitions_) next_offsets_.push_back(partition.start_offset());
  counters_.resize(partitions_.size());
}

JobMachine::~JobMachine() = default;

// ---- the journal ----

void JobMachine::Append(JournalRecord record, Actions* actions) {
  CHECK(!appending_) << "job " << job_id_ << " has a record under way";
  appending_ = true;
  actions->push_back(AppendRecord{std::move(record)});
}

void JobMachine::Apply(const JournalRecord& record, int64_t now_ms, Actions* actions) {
  const bool live = std::exchange(appending_, false);
  switch (record.kind_case()) {
    case JournalRecord::kPartitionsAdded:
      for (const Partition& partition : record.partitions_added().partitions()) {
        partitions_.push_back(partition);
        next_offsets_.push_back(partition.start_offset());
      }
      counters_.resize(partitions_.size());
      // Every owner has to be told of the new partitions.
      acknowledged_.clear();
      next_start_ms_ = now_ms;
      break;
    case JournalRecord::kShardsAssigned:
      assignment_.assign(record.shards_assigned().shards().begin(), record.shards_assigned().shards().end());
      assignment_number_ = record.shards_assigned().assignment();
      ready_.clear();
      next_start_ms_ = now_ms;
      break;
    case JournalRecord::kBatchCommitted:
      ApplyBatch(record.batch_committed(), now_ms, live ? actions : nullptr);
      break;
    case JournalRecord::kJobFailed:
      failed_ = true;
      failure_ = record.job_failed().reason();
      break;
    case JournalRecord::kJobCancelled:
      cancelled_ = true;
      if (live) actions->push_back(CloseJob{job_id_});
      break;
    default:
      break;
  }
  if (live) Advance(now_ms, actions);
}

void JobMachine::ApplyBatch(const BatchCommitted& batch, int64_t now_ms, Actions* actions) {
  const int64_t before_ms = last_batch_.published_at_ms();
  last_batch_ = batch;
  for (int i = 0; i < batch.next_offsets_size(); ++i) next_offsets_[static_cast<size_t>(i)] = batch.next_offsets(i);
  if (actions == nullptr) return;

  actions->push_back(PublishBatch{job_id_, batch});
  phase_ = Phase::kIdle;
  waiting_for_.clear();
  const int64_t since_ms = before_ms > 0 ? std::max<int64_t>(1, batch.published_at_ms() - before_ms) : spec_.batch_interval_ms();
  const double rate = static_cast<double>(batch.batch_records()) * 1000 / static_cast<double>(since_ms);
  records_per_second_ = batch.batch() <= 2 ? rate : 0.7 * records_per_second_ + 0.3 * rate;

  bool backlog = false;
  for (size_t i = 0; i < plan_.targets.size(); ++i) backlog |= next_offsets_[i] < plan_.targets[i];
  const int64_t spent_ms = now_ms - started_ms_;
  const int64_t fold_ms = static_cast<int64_t>(batch.timings().fold_us() / 1000);
  overhead_ms_ = static_cast<uint32_t>((overhead_ms_ + std::clamp<int64_t>(spent_ms - fold_ms, 0, spec_.batch_interval_ms())) / 2);
  next_start_ms_ = NextStartMs(started_ms_, now_ms, spec_.batch_interval_ms(), backlog);
}

void JobMachine::Fail(const std::string& reason, Actions* actions) {
  EndAttempt("", kNever);
  JournalRecord record;
  record.mutable_job_failed()->set_job_id(job_id_);
  record.mutable_job_failed()->set_reason(reason);
  Append(std::move(record), actions);
}

void JobMachine::Cancel(Actions* actions) {
  cancel_asked_ = true;
  if (appending_ || cancelled_) return;
  EndAttempt("", kNever);
  JournalRecord record;
  record.mutable_job_cancelled()->set_job_id(job_id_);
  Append(std::move(record), actions);
}

// ---- what to do next ----

void JobMachine::Advance(int64_t now_ms, Actions* actions) {
  if (appending_ || cancelled_) return;
  if (cancel_asked_) return Cancel(actions);
  if (failed_) return;
  if (phase_ == Phase::kIdle) {
    if (Reassign(now_ms, actions)) return;
    if (!found_partitions_.empty()) {
      JournalRecord record;
      record.mutable_partitions_added()->set_job_id(job_id_);
      for (Partition& partition : found_partitions_) *record.mutable_partitions_added()->add_partitions() = std::move(partition);
      found_partitions_.clear();
      return Append(std::move(record), actions);
    }
    if (now_ms >= next_start_ms_) BeginAttempt(now_ms, actions);
  }
  if (!finding_partitions_ && now_ms >= next_find_ms_) {
    finding_partitions_ = true;
    actions->push_back(FindPartitions{job_id_});
  }
  AssignOutsideAttempt(actions);
  SendPrepares(now_ms, actions);
}

bool JobMachine::Reassign(int64_t now_ms, Actions* actions) {
  AssignmentInput input;
  input.current = assignment_;
  input.shards = Shards();
  input.can_refold = can_refold_;
  for (const auto& [id, worker] : cluster_->workers) {
    if (worker.live) input.live[id] = worker.shards;
  }
  for (const ShardAssignment& shard : assignment_) {
    for (const std::string& worker : {shard.owner(), shard.next_owner()}) {
      if (now_ms < cluster_->awaiting_until_ms && !cluster_->workers.contains(worker)) input.awaited.insert(worker);
    }
  }
  input.awaited.erase("");
  for (uint32_t s = 0; s < input.shards; ++s) {
    bool fresh = static_cast<int>(s) >= last_batch_.digests_size();
    for (const uint32_t p : PartitionsOf(s)) fresh &= next_offsets_[p] == partitions_[p].start_offset();
    if (fresh) input.fresh.insert(s);
  }
  for (const auto& [shard, worker] : doubtful_) input.doubtful.insert(shard);

  std::vector<ShardAssignment> plan = PlanAssignment(input);
  for (const auto& [shard, worker] : ready_) {
    if (shard < plan.size() && plan[shard].next_owner() == worker) {
      plan[shard].set_owner(worker);
      plan[shard].clear_next_owner();
    }
  }
  bool changed = plan.size() != assignment_.size();
  for (size_t s = 0; s < assignment_.size() && !changed; ++s) {
    changed = plan[s].owner() != assignment_[s].owner() || plan[s].next_owner() != assignment_[s].next_owner();
  }
  if (!changed) return false;
  // Before the first worker there is nothing to say.
  if (assignment_.empty() && input.live.empty()) return false;

  JournalRecord record;
  ShardsAssigned* assigned = record.mutable_shards_assigned();
  assigned->set_job_id(job_id_);
  assigned->set_assignment(assignment_number_ + 1);
  for (ShardAssignment& shard : plan) *assigned->add_shards() = std::move(shard);
  Append(std::move(record), actions);
  return true;
}

void JobMachine::BeginAttempt(int64_t now_ms, Actions* actions) {
  if (assignment_.size() < Shards()) return EndAttempt("a worker: none has joined", now_ms + kRetryMs);
  for (size_t s = 0; s < assignment_.size(); ++s) {
    const std::string& owner = assignment_[s].owner();
    const auto worker = cluster_->workers.find(owner);
    if (!owner.empty() && worker != cluster_->workers.end() && worker->second.live) continue;
    const std::string& next = assignment_[s].next_owner();
    std::string why = owner.empty() ? absl::StrCat("shard ", s) : absl::StrCat("worker ", owner, ", which owns shard ", s);
    if (!next.empty()) {
      absl::StrAppend(&why, ", now folded again by worker ", next);
    } else if (!owner.empty() && !can_refold_) {
      absl::StrAppend(&why, " and alone has its state, since the log's start is gone");
    }
    return EndAttempt(std::move(why), now_ms + kRetryMs);
  }
  phase_ = Phase::kQueryingEnds;
  started_ms_ = now_ms;
  actions->push_back(QueryEnds{job_id_, ++query_});
}

void JobMachine::OnEnds(uint64_t query, const absl::StatusOr<std::vector<int64_t>>& ends, int64_t now_ms, Actions* actions) {
  if (phase_ != Phase::kQueryingEnds || query != query_ || IsOver()) return;
  if (!ends.ok()) {
    EndAttempt(std::string(ends.status().message()), now_ms + kRetryKafkaMs);
    return Advance(now_ms, actions);
  }
  if (ends->size() != partitions_.size()) return EndAttempt("", now_ms);
  ends_ = *ends;
  plan_ = PlanBatch(next_offsets_, ends_);
  if (!plan_.truncated.empty()) {
    const uint32_t p = plan_.truncated.front();
    std::string what = absl::StrCat(Name(p), " ends at ", ends_[p], ", below offset ", next_offsets_[p],
                                    " up to which it is folded: it was created again or truncated");
    if (!truncated_since_ms_) truncated_since_ms_ = now_ms;
    if (now_ms - *truncated_since_ms_ >= kTruncatedForMs) return Fail(what, actions);
    EndAttempt(std::move(what), now_ms + kRetryKafkaMs);
    return Advance(now_ms, actions);
  }
  truncated_since_ms_.reset();

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

void JobMachine::OnAssignReply(const std::string& worker, const AssignRequest& request, const absl::StatusOr<AssignReply>& reply,
                               int64_t now_ms, Actions* actions) {
  assigning_.erase(worker);
  if (IsOver() || request.id().epoch() != cluster_->epoch || request.id().assignment() != assignment_number_ ||
      request.partitions_size() != static_cast<int>(partitions_.size())) {
    return Advance(now_ms, actions);
  }
  const bool awaited = phase_ == Phase::kAssigning && request.id().attempt() == attempt_ && unanswered_.contains(worker);
  if (!reply.ok()) {
    if (awaited) EndAttempt(absl::StrCat("worker ", worker, ": ", reply.status().message()), now_ms + kRetryMs);
    return Advance(now_ms, actions);
  }
  acknowledged_[worker] = {request.id().incarnation(), assignment_number_};
  std::erase_if(doubtful_, [&](const auto& doubt) {
    const auto lists = [&](const auto& shards) { return std::find(shards.begin(), shards.end(), doubt.first) != shards.end(); };
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
  for (const std::string& owner : owners_) {
    FoldRequest request;
    *request.mutable_id() = MakeId(owner);
    for (uint32_t s = 0; s < assignment_.size(); ++s) {
      if (assignment_[s].owner() != owner) continue;
      for (const uint32_t p : PartitionsOf(s)) AddOffset(request.mutable_targets(), p, replaying_ ? next_offsets_[p] : plan_.targets[p]);
    }
    request.set_exact(replaying_);
    request.set_budget_ms(FoldBudgetMs(spec_.batch_interval_ms(), overhead_ms_));
    request.set_depth(2 * spec_.top());
    if (const auto it = thresholds_.find(owner); it != thresholds_.end()) *request.mutable_threshold() = it->second;
    unanswered_.insert(owner);
    actions->push_back(SendFold{owner, std::move(request)});
  }
  replied_ms_ = now_ms;
}

void JobMachine::OnFoldReply(const std::string& worker, const FoldRequest& request, const absl::StatusOr<FoldReply>& reply,
                             int64_t now_ms, Actions* actions) {
  if (IsOver() || phase_ != Phase::kFolding || request.id().epoch() != cluster_->epoch || request.id().attempt() != attempt_ ||
      !unanswered_.contains(worker)) {
    return;
  }
  if (!reply.ok()) {
    acknowledged_.erase(worker);
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
        return absl::StrCat("worker ", worker, " sums partition index ", p, ", which is not its to sum");
      }
      if (offset.next_offset() < next_offsets_[p]) {
        return absl::StrCat("worker ", worker, " to fold ", Name(p), " from offset ", offset.next_offset(), " to ", next_offsets_[p], " again");
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
    if (offset.partition() >= next_offsets_.size() || offset.next_offset() != next_offsets_[offset.partition()]) return false;
  }
  return !SameDigest(position.digest(), last_batch_.digests(static_cast<int>(position.shard())));
}

void JobMachine::Doubt(uint32_t shard, const std::string& worker, Actions* actions) {
  if (++doubts_[shard] > 1) {
    return Fail(absl::StrCat("shard ", shard, " folded again from the log has another digest than the journal: batch ",
                             last_batch_.batch(), " or one before it is doubtful"),
                actions);
  }
  LOG(ERROR) << "job " << name() << ": the state of shard " << shard << " at worker " << worker << " has another digest than batch "
             << last_batch_.batch() << " in the journal; the shard is folded again from the log";
  doubtful_[shard] = worker;
}

void JobMachine::BeginMerge(int64_t now_ms, Actions* actions) {
  uint64_t fold_us = 0;
  std::string waiting_for;
  for (const auto& [worker, reply] : replies_) {
    fold_us = std::max(fold_us, reply.fold_us());
    if (waiting_for.empty() && !reply.waiting_for().empty()) waiting_for = reply.waiting_for();
  }
  for (const auto& [worker, reply] : replies_) {
    for (const ShardPosition& position : reply.shards()) {
      if (!IsDoubtful(position)) continue;
      const uint32_t shard = position.shard();
      EndAttempt(absl::StrCat("shard ", shard), now_ms);
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
    for (const PartitionOffset& offset : reply.composition()) moved |= offset.next_offset() != next_offsets_[offset.partition()];
  }
  if (!moved) {
    const bool stuck = plan_.lag > 0;
    if (stuck && waiting_for.empty()) waiting_for = absl::StrCat("records of Kafka at ", brokers_);
    return EndAttempt(waiting_for, stuck ? now_ms + kRetryMs : NextStartMs(started_ms_, now_ms, spec_.batch_interval_ms(), false));
  }

  phase_ = Phase::kMerging;
  replied_ms_ = now_ms;
  merge_ = std::make_unique<GlobalTopK>(spec_.top(), owners_.size());
  for (size_t w = 0; w < owners_.size(); ++w) {
    const FoldReply& reply = replies_[owners_[w]];
    std::optional<Units> floor;
    if (reply.has_floor()) floor = FromProto(reply.floor());
    merge_->AddReply(w, ToPartials(reply.entries()), floor);
  }
  AskNext(now_ms, actions);
}

void JobMachine::AskNext(int64_t now_ms, Actions* actions) {
  const std::vector<GlobalTopK::Question> questions = merge_->Next();
  if (questions.empty()) return Commit(now_ms, actions);
  look_ups_.clear();
  for (const GlobalTopK::Question& question : questions) {
    const std::string& worker = owners_[question.worker];
    LookUpRequest request;
    *request.mutable_id() = MakeId(worker);
    *request.mutable_composition() = replies_[worker].composition();
    const LookUpRequest empty = request;
    if (question.at_or_above) *request.mutable_at_or_above() = ToProto(*question.at_or_above);
    LookUpUnderWay& look_up = look_ups_[worker];
    look_up.index = question.worker;
    size_t bytes = 0;
    for (const std::string& key : question.keys) {
      request.add_keys(key);
      bytes += key.size();
      if (bytes < kLookUpBytes) continue;
      look_up.left.push_back(std::exchange(request, empty));
      bytes = 0;
    }
    if (look_up.left.empty() || request.keys_size() > 0) look_up.left.push_back(std::move(request));
    std::reverse(look_up.left.begin(), look_up.left.end());
    actions->push_back(SendLookUp{worker, look_up.left.back()});
  }
}

void JobMachine::OnLookUpReply(const std::string& worker, const LookUpRequest& request, const absl::StatusOr<LookUpReply>& reply,
                               int64_t now_ms, Actions* actions) {
  if (IsOver() || phase_ != Phase::kMerging || request.id().epoch() != cluster_->epoch || request.id().attempt() != attempt_) return;
  const auto it = look_ups_.find(worker);
  if (it == look_ups_.end()) return;
  LookUpUnderWay& look_up = it->second;
  // A reply to a request of an earlier step, or a second reply to one.
  if (request.SerializeAsString() != look_up.left.back().SerializeAsString()) return;
  if (!reply.ok()) {
    acknowledged_.erase(worker);
    EndAttempt(absl::StrCat("worker ", worker, ": ", reply.status().message()), now_ms + kRetryMs);
    return Advance(now_ms, actions);
  }
  for (GlobalTopK::Partial& partial : ToPartials(reply->found())) look_up.found.push_back(std::move(partial));
  for (GlobalTopK::Partial& partial : ToPartials(reply->at_or_above())) look_up.at_or_above.push_back(std::move(partial));
  if (reply->next() != 0) {
    look_up.left.back().clear_keys();
    look_up.left.back().set_from(reply->next());
  } else {
    look_up.left.pop_back();
  }
  if (!look_up.left.empty()) {
    actions->push_back(SendLookUp{worker, look_up.left.back()});
    return;
  }
  merge_->AddAnswer(look_up.index, std::move(look_up.found), std::move(look_up.at_or_above));
  look_ups_.erase(it);
  if (look_ups_.empty()) AskNext(now_ms, actions);
}

void JobMachine::Commit(int64_t now_ms, Actions* actions) {
  phase_ = Phase::kCommitting;
  const GlobalTopK::Result& result = merge_->result();
  JournalRecord record;
  BatchCommitted* batch = record.mutable_batch_committed();
  batch->set_job_id(job_id_);
  batch->set_batch(last_batch_.batch() + 1);
  batch->set_attempt(attempt_);
  batch->set_published_at_ms(now_ms);
  std::vector<int64_t> next_offsets(partitions_.size());
  std::vector<Digest> digests(Shards());
  for (const auto& [worker, reply] : replies_) {
    for (const PartitionOffset& offset : reply.composition()) next_offsets[offset.partition()] = offset.next_offset();
    for (const ShardPosition& position : reply.shards()) digests[position.shard()] = position.digest();
    for (const PartitionState& partition : reply.partitions()) counters_[partition.partition()] = partition;
    batch->mutable_timings()->set_fold_us(std::max(batch->timings().fold_us(), reply.fold_us()));
    batch->mutable_timings()->set_persist_us(std::max(batch->timings().persist_us(), reply.persist_us()));
  }
  batch->mutable_next_offsets()->Add(next_offsets.begin(), next_offsets.end());
  for (const Digest& digest : digests) *batch->add_digests() = digest;
  uint64_t records = 0;
  uint64_t bad_records = 0;
  for (const PartitionState& partition : counters_) {
    records += partition.records();
    for (const BadCount& bad : partition.bad()) bad_records += bad.count();
  }
  batch->set_records(records);
  batch->set_bad_records(bad_records);
  batch->set_batch_records(records - last_batch_.records());
  for (const GlobalTopK::Partial& partial : result.top) {
    Entry* entry = batch->add_top();
    entry->set_key(partial.key);
    *entry->mutable_sum() = ToProto(partial.sum);
  }
  TopKProof* proof = batch->mutable_proof();
  if (result.kth_total) *proof->mutable_kth_total() = ToProto(*result.kth_total);
  if (result.unseen_bound) *proof->mutable_unseen_bound() = ToProto(*result.unseen_bound);
  proof->set_rounds(result.rounds);
  proof->set_entries(result.entries);
  batch->mutable_timings()->set_merge_us(static_cast<uint64_t>(now_ms - replied_ms_) * 1000);
  batch->mutable_timings()->set_processing_us(static_cast<uint64_t>(now_ms - started_ms_) * 1000);
  thresholds_.clear();
  for (size_t w = 0; w < owners_.size(); ++w) {
    if (w < result.next_thresholds.size() && result.next_thresholds[w]) thresholds_[owners_[w]] = ToProto(*result.next_thresholds[w]);
  }
  Append(std::move(record), actions);
}

void JobMachine::EndAttempt(std::string waiting_for, int64_t retry_ms) {
  phase_ = Phase::kIdle;
  unanswered_.clear();
  look_ups_.clear();
  waiting_for_ = std::move(waiting_for);
  next_start_ms_ = retry_ms;
}

// ---- moves ----

void JobMachine::AssignOutsideAttempt(Actions* actions) {
  const std::set<std::string> owners = Owners();
  for (const auto& [id, worker] : cluster_->workers) {
    if (!worker.live || IsAcknowledged(id) || assigning_.contains(id)) continue;
    // Owners are told with the attempt. But where none can begin, because a shard has no live owner, that would be never.
    const bool owns = owners.contains(id);
    if (owns && phase_ != Phase::kIdle) continue;
    const bool prepares = std::any_of(assignment_.begin(), assignment_.end(), [&](const auto& shard) { return shard.next_owner() == id; });
    if (!owns && !prepares && !worker.job_ids.contains(job_id_)) continue;
    assigning_.insert(id);
    actions->push_back(SendAssign{id, MakeAssign(id)});
  }
}

void JobMachine::SendPrepares(int64_t now_ms, Actions* actions) {
  std::map<std::string, PrepareRequest> requests;
  for (uint32_t s = 0; s < assignment_.size(); ++s) {
    const std::string& worker = assignment_[s].next_owner();
    if (worker.empty() || !IsAcknowledged(worker) || preparing_.contains(worker) || ready_.contains(s)) continue;
    for (const uint32_t p : PartitionsOf(s)) AddOffset(requests[worker].mutable_targets(), p, next_offsets_[p]);
  }
  for (auto& [worker, request] : requests) {
    *request.mutable_id() = MakeId(worker);
    request.set_budget_ms(kPrepareBudgetMs);
    preparing_[worker] = {request.id().incarnation(), assignment_number_, now_ms, next_offsets_,
                          {last_batch_.digests().begin(), last_batch_.digests().end()}};
    actions->push_back(SendPrepare{worker, std::move(request)});
  }
}

void JobMachine::OnPrepareReply(const std::string& worker, const PrepareRequest& request, const absl::StatusOr<PrepareReply>& reply,
                                int64_t now_ms, Actions* actions) {
  const auto it = preparing_.find(worker);
  if (it == preparing_.end() || request.id().incarnation() != it->second.incarnation ||
      request.id().assignment() != it->second.assignment || request.id().epoch() != cluster_->epoch) {
    return;
  }
  const PrepareUnderWay prepare = std::move(it->second);
  preparing_.erase(it);
  if (IsOver() || prepare.assignment != assignment_number_) return Advance(now_ms, actions);
  if (!reply.ok()) {
    acknowledged_.erase(worker);
    return Advance(now_ms, actions);
  }
  if (reply->has_failure()) {
    LOG(ERROR) << "job " << name() << ": worker " << worker << " cannot fold its shards from the start: " << reply->failure().reason();
    can_refold_ = false;
    return Advance(now_ms, actions);
  }
  // A shard whose preparation took long is too far behind by now for a short batch: another go gets it closer.
  const bool quick = now_ms - prepare.sent_ms <= std::max<int64_t>(spec_.batch_interval_ms(), 200);
  for (const ShardPosition& position : reply->shards()) {
    const uint32_t s = position.shard();
    if (s >= assignment_.size() || assignment_[s].next_owner() != worker) continue;
    bool reached = true;
    bool exact = true;
    bool current = true;
    for (const PartitionOffset& offset : position.offsets()) {
      if (offset.partition() >= prepare.next_offsets.size()) continue;
      reached &= offset.next_offset() >= prepare.next_offsets[offset.partition()];
      exact &= offset.next_offset() == prepare.next_offsets[offset.partition()];
      current &= offset.next_offset() >= next_offsets_[offset.partition()];
    }
    if (!reached) continue;
    if (exact && s < prepare.digests.size() && !SameDigest(position.digest(), prepare.digests[s])) {
      if (phase_ != Phase::kCommitting && !appending_) {
        EndAttempt(absl::StrCat("shard ", s), now_ms);
        Doubt(s, worker, actions);
      }
      return Advance(now_ms, actions);
    }
    doubts_.erase(s);
    if (quick || current) ready_[s] = worker;
  }
  Advance(now_ms, actions);
}

// ---- other events ----

void JobMachine::OnWorkersChanged(int64_t now_ms, Actions* actions) {
  if (IsOver()) return;
  const auto gone = [&](const std::string& id, uint64_t incarnation) {
    const auto it = cluster_->workers.find(id);
    return it == cluster_->workers.end() || !it->second.live || it->second.incarnation != incarnation;
  };
  std::erase_if(acknowledged_, [&](const auto& entry) { return gone(entry.first, entry.second.incarnation); });
  std::erase_if(preparing_, [&](const auto& entry) { return gone(entry.first, entry.second.incarnation); });
  std::erase_if(assigning_, [&](const std::string& id) {
    const auto it = cluster_->workers.find(id);
    return it == cluster_->workers.end() || !it->second.live;
  });
  std::erase_if(doubtful_, [&](const auto& entry) {
    const auto it = cluster_->workers.find(entry.second);
    return it == cluster_->workers.end() || !it->second.live;
  });
  if (phase_ == Phase::kAssigning || phase_ == Phase::kFolding || phase_ == Phase::kMerging) {
    for (const std::string& owner : owners_) {
      const bool expected = unanswered_.contains(owner) && phase_ == Phase::kAssigning;
      if (expected ? cluster_->workers.at(owner).live : IsAcknowledged(owner)) continue;
      EndAttempt(absl::StrCat("worker ", owner), now_ms);
      break;
    }
  } else if (phase_ == Phase::kIdle && !waiting_for_.empty()) {
    next_start_ms_ = std::min(next_start_ms_, now_ms);
  }
  Advance(now_ms, actions);
}

void JobMachine::OnTime(int64_t now_ms, Actions* actions) { Advance(now_ms, actions); }

void JobMachine::OnPartitions(const absl::StatusOr<Found>& found, int64_t now_ms, Actions* actions) {
  finding_partitions_ = false;
  next_find_ms_ = now_ms + kFindPartitionsMs;
  if (IsOver()) return;
  if (found.ok()) {
    found_partitions_.clear();
    for (const Partition& partition : found->added) {
      const bool known = std::any_of(partitions_.begin(), partitions_.end(), [&](const Partition& p) {
        return p.topic() == partition.topic() && p.partition() == partition.partition();
      });
      if (!known) found_partitions_.push_back(partition);
    }
    bool can_refold = true;
    for (size_t i = 0; i < std::min(found->begins.size(), partitions_.size()); ++i) {
      can_refold &= found->begins[i] <= partitions_[i].start_offset();
    }
    if (can_refold_ && !can_refold) {
      LOG(WARNING) << "job " << name() << ": the log no longer has the job's start; its shards do not move, and verify cannot "
                   << "recompute its batches";
    }
    can_refold_ = can_refold;
  }
  Advance(now_ms, actions);
}

int64_t JobMachine::NextTimeMs() const {
  if (appending_ || IsOver()) return kNever;
  const int64_t find = finding_partitions_ ? kNever : next_find_ms_;
  return phase_ == Phase::kIdle ? std::min(next_start_ms_, find) : find;
}

// ---- what it is ----

size_t JobMachine::Shards() const { return std::min<size_t>(kShards, partitions_.size()); }

std::set<std::string> JobMachine::Owners() const {
  std::set<std::string> owners;
  for (const ShardAssignment& shard : assignment_) {
    if (!shard.owner().empty()) owners.insert(shard.owner());
  }
  return owners;
}

std::vector<uint32_t> JobMachine::PartitionsOf(uint32_t shard) const {
  std::vector<uint32_t> partitions;
  for (uint32_t p = shard; p < partitions_.size(); p += kShards) partitions.push_back(p);
  return partitions;
}

bool JobMachine::IsAcknowledged(const std::string& worker) const {
  const auto it = acknowledged_.find(worker);
  const auto info = cluster_->workers.find(worker);
  return it != acknowledged_.end() && info != cluster_->workers.end() && info->second.live &&
         it->second.incarnation == info->second.incarnation && it->second.assignment == assignment_number_;
}

bool JobMachine::VectorGrew() const {
  return last_batch_.batch() == 0 || last_batch_.next_offsets_size() != static_cast<int>(partitions_.size());
}

RequestId JobMachine::MakeId(const std::string& worker) const {
  RequestId id;
  id.set_cluster_id(cluster_->cluster_id);
  id.set_job_id(job_id_);
  id.set_epoch(cluster_->epoch);
  id.set_attempt(attempt_);
  id.set_assignment(assignment_number_);
  if (const auto it = cluster_->workers.find(worker); it != cluster_->workers.end()) id.set_incarnation(it->second.incarnation);
  return id;
}

AssignRequest JobMachine::MakeAssign(const std::string& worker) const {
  AssignRequest request;
  *request.mutable_id() = MakeId(worker);
  *request.mutable_spec() = spec_;
  request.set_brokers(brokers_);
  request.mutable_partitions()->Add(partitions_.begin(), partitions_.end());
  for (uint32_t s = 0; s < assignment_.size(); ++s) {
    if (assignment_[s].owner() == worker) request.add_owned(s);
    if (assignment_[s].next_owner() == worker) request.add_prepared(s);
  }
  return request;
}

std::string JobMachine::Name(uint32_t partition) const {
  return absl::StrCat(partitions_[partition].topic(), "[", partitions_[partition].partition(), "]");
}

JobState JobMachine::state() const {
  if (cancelled_) return JOB_CANCELLED;
  if (failed_) return JOB_FAILED;
  return waiting_for_.empty() ? JOB_RUNNING : JOB_WAITING;
}

uint64_t JobMachine::lag() const {
  uint64_t lag = 0;
  for (size_t i = 0; i < std::min(ends_.size(), next_offsets_.size()); ++i) {
    if (ends_[i] > next_offsets_[i]) lag += static_cast<uint64_t>(ends_[i] - next_offsets_[i]);
  }
  return lag;
}

JobStatus JobMachine::Status() const {
  JobStatus status;
  status.set_job(name());
  status.set_job_id(job_id_);
  status.set_state(state());
  status.set_reason(failed_ ? failure_ : waiting_for_);
  *status.mutable_spec() = WithoutSecrets(spec_);
  status.set_batch(last_batch_.batch());
  status.set_lag(lag());
  status.set_records_per_second(records_per_second_);
  status.set_submitted_at_ms(submitted_at_ms_);
  *status.mutable_last_batch() = last_batch_;
  for (size_t i = 0; i < partitions_.size(); ++i) {
    PartitionStatus* partition = status.add_partitions();
    partition->set_topic(partitions_[i].topic());
    partition->set_partition(partitions_[i].partition());
    partition->set_next_offset(next_offsets_[i]);
    partition->set_end_offset(i < ends_.size() ? ends_[i] : -1);
    *partition->mutable_counters() = counters_[i];
  }
  for (uint32_t s = 0; s < assignment_.size(); ++s) {
    ShardStatus* shard = status.add_shards();
    shard->set_shard(s);
    shard->set_owner(assignment_[s].owner());
    shard->set_next_owner(assignment_[s].next_owner());
  }
  return status;
}

}  // namespace tenfold
