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
constexpr int64_t kFindPartitionsMs = 2'000;
constexpr uint32_t kPrepareBudgetMs = 500;
constexpr int kPreparations = 5;
// A worker that did not do what it was asked outside of an attempt is not asked again at once.
constexpr int64_t kRestMs = 50;

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

void JobMachine::AddOffset(uint32_t partition, int64_t next_offset,
                           google::protobuf::RepeatedPtrField<PartitionOffset>* offsets) {
  PartitionOffset* offset = offsets->Add();
  offset->set_partition(partition);
  offset->set_next_offset(next_offset);
}

bool JobMachine::SameDigest(const Digest& a, const Digest& b) { return a.high() == b.high() && a.low() == b.low(); }

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
      next_start_ms_ = live ? now_ms : 0;
      break;
    case JournalRecord::kShardsAssigned:
      assignment_.assign(record.shards_assigned().shards().begin(), record.shards_assigned().shards().end());
      assignment_number_ = record.shards_assigned().assignment();
      refolds_.clear();
      ready_.clear();
      preparations_.clear();
      next_start_ms_ = live ? now_ms : 0;
      break;
    case JournalRecord::kBatchCommitted:
      ApplyBatch(record.batch_committed(), now_ms, live ? actions : nullptr);
      break;
    case JournalRecord::kJobFailed:
      failed_ = true;
      replica_.reset();
      known_.Clear();
      failure_ = record.job_failed().reason();
      break;
    case JournalRecord::kJobCancelled:
      cancelled_ = true;
      replica_.reset();
      known_.Clear();
      if (live) actions->push_back(CloseJob{job_id_, name()});
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
  waiting_for_ = std::exchange(stuck_, "");
  const int64_t since_ms =
      before_ms > 0 ? std::max<int64_t>(1, batch.published_at_ms() - before_ms) : spec_.batch_interval_ms();
  const double rate = static_cast<double>(batch.batch_records()) * 1000 / static_cast<double>(since_ms);
  // The first one with records since the driver started has nothing to be averaged with.
  records_per_second_ = records_per_second_ == 0 ? rate : 0.7 * records_per_second_ + 0.3 * rate;

  bool backlog = false;
  for (size_t i = 0; i < plan_.targets.size(); ++i) backlog |= next_offsets_[i] < plan_.targets[i];
  const int64_t spent_ms = now_ms - started_ms_;
  const int64_t fold_ms = static_cast<int64_t>(batch.timings().fold_us() / 1000);
  overhead_ms_ =
      static_cast<uint32_t>((overhead_ms_ + std::clamp<int64_t>(spent_ms - fold_ms, 0, spec_.batch_interval_ms())) / 2);
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
  std::erase_if(rests_until_ms_, [&](const auto& rest) { return rest.second <= now_ms; });
  if (cancel_asked_) return Cancel(actions);
  if (failed_) return;
  if (phase_ == Phase::kIdle) {
    if (Reassign(now_ms, actions)) return;
    // Two searches may have found the same one before either was journalled.
    std::erase_if(found_partitions_, [this](const Partition& partition) { return IsKnown(partition); });
    if (!found_partitions_.empty()) {
      JournalRecord record;
      record.mutable_partitions_added()->set_job_id(job_id_);
      for (Partition& partition : found_partitions_)
        *record.mutable_partitions_added()->add_partitions() = std::move(partition);
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

// ---- moves ----

void JobMachine::AssignOutsideAttempt(Actions* actions) {
  const std::set<std::string> owners = Owners();
  for (const auto& [id, worker] : cluster_->workers) {
    if (!worker.live || IsAcknowledged(id) || assigning_.contains(id) || Rests(id)) continue;
    // Owners are told with the attempt. But where none can begin, because a shard has no live owner, that would be never.
    const bool owns = owners.contains(id);
    if (owns && phase_ != Phase::kIdle) continue;
    const bool prepares =
        std::any_of(assignment_.begin(), assignment_.end(), [&](const auto& shard) { return shard.next_owner() == id; });
    if (!owns && !prepares && !worker.job_ids.contains(job_id_)) continue;
    assigning_.insert(id);
    actions->push_back(SendAssign{id, MakeAssign(id)});
  }
}

void JobMachine::SendPrepares(int64_t now_ms, Actions* actions) {
  std::map<std::string, PrepareRequest> requests;
  for (uint32_t s = 0; s < assignment_.size(); ++s) {
    const std::string& worker = assignment_[s].next_owner();
    if (worker.empty() || !IsAcknowledged(worker) || preparing_.contains(worker) || ready_.contains(s) || Rests(worker))
      continue;
    for (const uint32_t p : PartitionsOf(s)) AddOffset(p, next_offsets_[p], requests[worker].mutable_targets());
  }
  for (auto& [worker, request] : requests) {
    *request.mutable_id() = MakeId(worker);
    request.set_budget_ms(kPrepareBudgetMs);
    preparing_[worker] = {request.id().incarnation(),
                          assignment_number_,
                          now_ms,
                          next_offsets_,
                          {last_batch_.digests().begin(), last_batch_.digests().end()}};
    actions->push_back(SendPrepare{worker, std::move(request)});
  }
}

void JobMachine::OnPrepareReply(const std::string& worker, const PrepareRequest& request,
                                const absl::StatusOr<PrepareReply>& reply, int64_t now_ms, Actions* actions) {
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
    Rest(worker, now_ms);
    return Advance(now_ms, actions);
  }
  if (reply->has_failure()) {
    LOG(ERROR) << "job " << name() << ": worker " << worker
               << " cannot fold its shards from the start: " << reply->failure().reason();
    can_refold_ = false;
    const bool orphaned = std::any_of(assignment_.begin(), assignment_.end(), [&](const ShardAssignment& shard) {
      return shard.next_owner() == worker && shard.owner().empty();
    });
    if (orphaned && !appending_ && phase_ != Phase::kCommitting) return Fail(reply->failure().reason(), actions);
    Rest(worker, now_ms);
    return Advance(now_ms, actions);
  }
  // A shard whose preparation took long is too far behind by now for a short batch: another go gets it closer.
  const bool quick = now_ms - prepare.sent_ms <= std::max<int64_t>(spec_.batch_interval_ms(), 200);
  for (const ShardPosition& position : reply->shards()) {
    const uint32_t s = position.shard();
    if (s >= assignment_.size() || assignment_[s].next_owner() != worker) continue;
    NoteRefold(position, now_ms);
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
        EndAttempt(absl::StrCat("shard ", s, ", whose state is doubtful"), now_ms);
        Doubt(s, worker, actions);
      }
      return Advance(now_ms, actions);
    }
    doubts_.erase(s);
    // At short intervals none is ever quick; the takeover then folds what is left.
    if (quick || current || ++preparations_[s] >= kPreparations) ready_[s] = worker;
  }
  Advance(now_ms, actions);
}

void JobMachine::NoteRefold(const ShardPosition& position, int64_t now_ms) {
  int64_t done = 0;
  int64_t total = 0;
  for (const PartitionOffset& offset : position.offsets()) {
    if (offset.partition() >= partitions_.size()) continue;
    const int64_t start = partitions_[offset.partition()].start_offset();
    done += offset.next_offset() - start;
    total += next_offsets_[offset.partition()] - start;
  }
  Refold& refold = refolds_.try_emplace(position.shard(), Refold{now_ms, done, now_ms, done, total}).first->second;
  refold.last_ms = now_ms;
  refold.last = done;
  refold.total = total;
}

std::string JobMachine::RefoldText(uint32_t shard) const {
  const auto it = refolds_.find(shard);
  if (it == refolds_.end()) return "";
  const Refold& refold = it->second;
  std::string text = absl::StrCat(": ", refold.last, " of ", refold.total, " offsets");
  const int64_t rate = (refold.last - refold.first) * 1000 / std::max<int64_t>(1, refold.last_ms - refold.first_ms);
  if (rate <= 0) return text;
  absl::StrAppend(&text, ", ", rate, " a second, ", std::max<int64_t>(0, refold.total - refold.last) / rate, " s left");
  return text;
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
    const bool lost = it == cluster_->workers.end() || !it->second.live;
    // It may come back with the same state, which would not have been folded again then.
    if (lost) doubts_.erase(entry.first);
    return lost;
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

void JobMachine::OnPaused(int64_t paused_ms) {
  if (truncated_since_ms_) *truncated_since_ms_ += paused_ms;
}

void JobMachine::OnPartitions(const absl::StatusOr<Found>& found, int64_t now_ms, Actions* actions) {
  finding_partitions_ = false;
  next_find_ms_ = now_ms + kFindPartitionsMs;
  if (IsOver()) return;
  if (found.ok()) {
    found_partitions_.clear();
    for (const Partition& partition : found->added) {
      if (!IsKnown(partition)) found_partitions_.push_back(partition);
    }
    bool can_refold = true;
    for (size_t i = 0; i < std::min(found->begins.size(), partitions_.size()); ++i) {
      can_refold &= found->begins[i] <= partitions_[i].start_offset();
    }
    if (can_refold_ && !can_refold) {
      LOG(WARNING) << "job " << name()
                   << ": the log no longer has the job's start; its shards do not move, and verify cannot "
                   << "recompute its batches";
    }
    can_refold_ = can_refold;
  }
  Advance(now_ms, actions);
}

int64_t JobMachine::NextTimeMs() const {
  if (appending_ || IsOver()) return kNever;
  int64_t next = finding_partitions_ ? kNever : next_find_ms_;
  if (phase_ == Phase::kIdle) next = std::min(next, next_start_ms_);
  for (const auto& [worker, until_ms] : rests_until_ms_) next = std::min(next, until_ms);
  return next;
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

bool JobMachine::IsKnown(const Partition& partition) const {
  return std::any_of(partitions_.begin(), partitions_.end(), [&](const Partition& known) {
    return known.topic() == partition.topic() && known.partition() == partition.partition();
  });
}

void JobMachine::Rest(const std::string& worker, int64_t now_ms) { rests_until_ms_[worker] = now_ms + kRestMs; }

bool JobMachine::Rests(const std::string& worker) const { return rests_until_ms_.contains(worker); }

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
  if (const auto it = cluster_->workers.find(worker); it != cluster_->workers.end())
    id.set_incarnation(it->second.incarnation);
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
  status.set_reason(failed_ ? failure_ : cancelled_ ? "" : waiting_for_);
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
