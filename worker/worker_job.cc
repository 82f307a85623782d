#include "worker/worker_job.h"

#include <algorithm>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/digest.h"
#include "common/fault_point.h"
#include "common/key_slice.h"
#include "common/limits.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

// A reply's entries beyond the depth asked for; what is left out is bounded by the floor.
constexpr size_t kMaxReplyEntries = kMaxMessageBytes / 2 / kMaxKeyBytes;

uint64_t MicrosSince(absl::Time start) { return static_cast<uint64_t>(absl::ToInt64Microseconds(absl::Now() - start)); }

void AddEntry(std::string_view key, Units sum, google::protobuf::RepeatedPtrField<Entry>* entries) {
  Entry* entry = entries->Add();
  entry->set_key(key.data(), key.size());
  *entry->mutable_sum() = ToProto(sum);
}

}  // namespace

WorkerJob::WorkerJob(const Options& options, const std::vector<ShardState>& found)
    : options_(options),
      totals_(options.store, [this] { return stopping_.load(); }),
      kept_changes_(options.max_kept_changes),
      core_(options.job_id, options.incarnation) {
  for (const ShardState& state : found) core_.Restore(state);
}

absl::StatusOr<AssignReply> WorkerJob::Assign(const AssignRequest& request) {
  {
    std::lock_guard lock(core_mutex_);
    if (absl::Status admitted = core_.AdmitAssign(request.id(), options_.cluster_id); !admitted.ok()) return admitted;
  }
  std::lock_guard sums(sums_mutex_);
  assign_waits_ = true;
  std::lock_guard prepare(prepare_mutex_);
  assign_waits_ = false;
  if (stopping_) return absl::UnavailableError("the worker is stopping");

  JobCore::AssignPlan plan;
  std::vector<uint32_t> unsound;
  do {
    {
      std::lock_guard lock(core_mutex_);
      if (core_.IsSuperseded(request.id())) return absl::AbortedError("a later request was seen");
      plan = core_.PlanAssign(request);
    }
    unsound.clear();
    absl::Status done = DoAssign(request, &plan, &unsound);
    if (done.ok() && unsound.empty()) break;
    // Half done: the sums are made anew.
    totals_.Clear();
    kept_changes_.Forget();
    if (done.ok()) done = DropUnsound(unsound);
    std::lock_guard lock(core_mutex_);
    core_.ForgetRoles();
    for (const uint32_t shard : unsound) core_.Forget(shard);
    if (!done.ok()) return done;
  } while (!unsound.empty());

  AssignReply reply;
  std::lock_guard lock(core_mutex_);
  core_.Assigned(request, plan);
  for (const uint32_t shard : request.owned()) *reply.add_shards() = core_.Position(shard);
  for (const uint32_t shard : request.prepared()) *reply.add_shards() = core_.Position(shard);
  return reply;
}

absl::Status WorkerJob::DoAssign(const AssignRequest& request, JobCore::AssignPlan* plan, std::vector<uint32_t>* unsound) {
  spec_ = request.spec();
  if (!plan->leave.empty() || !plan->join.empty()) kept_changes_.Forget();
  if (request.owned().empty()) {
    sums_folder_.reset();
    totals_.Clear();
    plan->leave.clear();
  } else if (sums_folder_ == nullptr) {
    absl::StatusOr<std::unique_ptr<RangeFolder>> folder = options_.make_folder(request);
    if (!folder.ok()) return folder.status();
    sums_folder_ = *std::move(folder);
  }
  if (request.prepared().empty()) {
    prepare_folder_.reset();
  } else if (prepare_folder_ == nullptr) {
    absl::StatusOr<std::unique_ptr<RangeFolder>> folder = options_.make_folder(request);
    if (!folder.ok()) return folder.status();
    prepare_folder_ = *std::move(folder);
  }

  SetMemoryLimits();
  totals_.EndScan();
  for (const uint32_t shard : plan->leave) {
    if (const absl::StatusOr<Uint128> left = ScanIntoTotals(shard, -1); !left.ok()) return left.status();
  }
  std::vector<ShardKey> drop;
  for (const uint32_t shard : plan->drop) drop.push_back(Key(shard));
  // Also what an assignment that was not finished left.
  for (const ShardState& state : plan->create) drop.push_back(Key(state.id().shard()));
  if (!drop.empty()) {
    if (absl::Status dropped = ToldIfFailed(options_.store->Drop(drop)); !dropped.ok()) return dropped;
    // Now, as the rest may fail: what is not in the store must not be taken for there.
    std::lock_guard lock(core_mutex_);
    for (const uint32_t shard : plan->drop) core_.Forget(shard);
  }
  std::vector<ShardStore::NewShard> create;
  for (ShardState& state : plan->create) {
    std::vector<Delta> rows;
    Uint128 digest = 0;
    for (const InitialScore& initial : request.spec().initial()) {
      if (state.id().shard() != 0) break;
      const absl::StatusOr<Units> score = ParseUnits(initial.score());
      if (!score.ok()) return score.status();
      rows.push_back({initial.key(), 1, *score});
      digest += DigestTerm(initial.key(), 1, *score);
    }
    *state.mutable_digest() = ToProto(digest);
    create.push_back({state, std::move(rows)});
  }
  if (!create.empty()) {
    if (absl::Status created = ToldIfFailed(options_.store->Create(create)); !created.ok()) return created;
  }
  // A state is as good as its scan: the one that adds it to the sums, or one for a state found on disk.
  std::vector<uint32_t> scan = plan->join;
  for (const uint32_t shard : plan->verify) {
    if (std::find(scan.begin(), scan.end(), shard) == scan.end()) scan.push_back(shard);
  }
  for (const uint32_t shard : scan) {
    const bool joins = std::find(plan->join.begin(), plan->join.end(), shard) != plan->join.end();
    const absl::StatusOr<Uint128> digest = ScanIntoTotals(shard, joins ? 1 : 0);
    if (!digest.ok() && !absl::IsDataLoss(digest.status())) return digest.status();
    const auto made = std::find_if(plan->create.begin(), plan->create.end(),
                                   [&](const ShardState& state) { return state.id().shard() == shard; });
    std::lock_guard lock(core_mutex_);
    const ShardState& state = made != plan->create.end() ? *made : core_.state(shard);
    if (!digest.ok() || *digest != FromProto(state.digest())) unsound->push_back(shard);
  }
  if (!unsound->empty()) return absl::OkStatus();
  std::vector<ShardKey> owned;
  for (const uint32_t shard : request.owned()) owned.push_back(Key(shard));
  return ToldIfFailed(totals_.Settle(std::move(owned)));
}

void WorkerJob::SetMemoryLimits() {
  const size_t bytes = options_.memory().totals_bytes;
  totals_.SetLimit(bytes == 0 ? BoundedTotals::kNoLimit : bytes);
  // An eighth of the share is neither for candidates nor for bounds.
  if (bytes != 0) kept_changes_.SetLimit(bytes / 16);
}

absl::StatusOr<Uint128> WorkerJob::ScanIntoTotals(uint32_t shard, int sign) {
  return options_.store->Scan(Key(shard), [&](std::string_view key, uint64_t count, Units sum) {
    if (sign != 0) totals_.AddRow(key, sign * static_cast<int64_t>(count), sign * sum);
    return !stopping_;
  });
}

// If its rows do not make its digest, the log decides.
absl::Status WorkerJob::DropUnsound(const std::vector<uint32_t>& shards) {
  std::vector<ShardKey> keys;
  for (const uint32_t shard : shards) {
    LOG(ERROR) << "job " << options_.job_id << ": the state of shard " << shard
               << " on disk is damaged; it is dropped and folded again";
    keys.push_back(Key(shard));
  }
  return ToldIfFailed(options_.store->Drop(keys));
}

absl::Status WorkerJob::ToldIfFailed(absl::Status done) const {
  if (!done.ok() && !absl::IsCancelled(done)) options_.store_failed(done);
  return done;
}

absl::Status WorkerJob::Persist(const FoldOutcome& outcome) {
  std::vector<ShardStore::Update> updates;
  for (const FoldOutcome::Shard& shard : outcome.shards) updates.push_back({&shard.state, shard.deltas});
  if (updates.empty()) return absl::OkStatus();
  if (absl::Status committed = ToldIfFailed(options_.store->Commit(updates, spec_.wal())); !committed.ok()) return committed;
  std::lock_guard lock(core_mutex_);
  for (const FoldOutcome::Shard& shard : outcome.shards) core_.Persisted(shard.state);
  return absl::OkStatus();
}

absl::StatusOr<FoldReply> WorkerJob::Fold(const FoldRequest& request) {
  {
    std::lock_guard lock(core_mutex_);
    if (absl::Status admitted = core_.AdmitFold(request.id(), options_.cluster_id); !admitted.ok()) return admitted;
  }
  std::lock_guard sums(sums_mutex_);
  std::vector<JobCore::ShardRange> ranges;
  {
    std::lock_guard lock(core_mutex_);
    if (core_.IsSuperseded(request.id())) return absl::AbortedError("a later request was seen");
    absl::StatusOr<std::vector<JobCore::ShardRange>> planned = core_.PlanFold(request);
    if (!planned.ok()) return planned.status();
    ranges = *std::move(planned);
    if (kept_changes_.Quote(request.since(), core_.Composition())) drops_at_base_ = totals_.drops();
  }
  if (sums_folder_ == nullptr) return absl::FailedPreconditionError("the worker owns no shard of the job");

  const absl::Time start = absl::Now();
  FoldOptions options;
  options.budget = absl::Milliseconds(request.budget_ms());
  options.memory = options_.memory().sums;
  options.exact = request.exact();
  options.stop = [&] {
    std::lock_guard lock(core_mutex_);
    return stopping_ || core_.IsSuperseded(request.id());
  };
  FoldOutcome outcome = sums_folder_->Fold(ranges, options);
  FoldReply reply;
  if (outcome.failure) {
    reply.mutable_failure()->set_reason(*outcome.failure);
    return reply;
  }
  std::erase_if(outcome.shards, [&](const FoldOutcome::Shard& shard) {
    std::lock_guard lock(core_mutex_);
    const ShardState& before = core_.state(shard.state.id().shard());
    for (int i = 0; i < before.partitions_size(); ++i) {
      if (before.partitions(i).next_offset() != shard.state.partitions(i).next_offset()) return false;
    }
    return true;
  });
  reply.set_fold_us(MicrosSince(start));
  reply.set_waiting_for(outcome.waiting_for);
  const absl::Time persist = absl::Now();
  if (absl::Status persisted = Persist(outcome); !persisted.ok()) return persisted;
  FaultPoint("worker.persisted");
  SetMemoryLimits();
  // What is persisted is in the composition, also where the totals then cannot be made.
  for (const FoldOutcome::Shard& shard : outcome.shards) {
    kept_changes_.Add(shard.deltas);
    reply.set_changed_keys(reply.changed_keys() + shard.deltas.size());
  }
  if (absl::Status added = AddToTotals(outcome); !added.ok()) return added;
  reply.set_keys(totals_.Keys());
  reply.set_persist_us(MicrosSince(persist));
  if (stopping_) return absl::UnavailableError("the worker is stopping");
  if (absl::Status answered = Answer(request, &reply); !answered.ok()) return answered;
  return reply;
}

absl::Status WorkerJob::AddToTotals(const FoldOutcome& outcome) {
  std::vector<std::span<const Delta>> deltas;
  for (const FoldOutcome::Shard& shard : outcome.shards) deltas.push_back(shard.deltas);
  return ToldIfFailed(totals_.Add(deltas));
}

absl::Status WorkerJob::Answer(const FoldRequest& request, FoldReply* reply) {
  {
    std::lock_guard lock(core_mutex_);
    core_.Answered(request.id());
    *reply->mutable_composition() = core_.Composition();
    for (const uint32_t s : core_.owned()) {
      *reply->add_shards() = core_.Position(s);
      for (const PartitionState& partition : core_.state(s).partitions()) *reply->add_partitions() = partition;
    }
  }
  if (request.has_known_at_or_above() && AnswerChanged(FromProto(request.known_at_or_above()), reply)) {
    return absl::OkStatus();
  }
  std::optional<Units> threshold;
  if (request.has_threshold()) threshold = FromProto(request.threshold());
  const absl::StatusOr<Totals::Top> top = totals_.Highest(request.depth(), threshold, kMaxReplyEntries);
  if (!top.ok()) return ToldIfFailed(top.status());
  for (const TotalEntry& entry : top->entries) AddEntry(entry.key, entry.sum, reply->mutable_entries());
  if (top->floor) *reply->mutable_floor() = ToProto(*top->floor);
  if (!request.since().empty() && !request.has_known_at_or_above() && kept_changes_.known()) {
    kept_changes_.Tell(0, options_.part_bytes / 4, reply->mutable_changes());
  }
  return absl::OkStatus();
}

bool WorkerJob::AnswerChanged(Units known_at_or_above, FoldReply* reply) {
  if (!kept_changes_.known() || totals_.drops() != drops_at_base_ || !totals_.HoldsFrom(known_at_or_above)) return false;
  bool fits = true;
  kept_changes_.ForEach([&](std::string_view key, Units added) {
    const std::optional<Units> sum = totals_.FindHeld(key);
    // One that is not in memory was not there at the base either, so below all that is known, as it is now.
    if (!sum || (*sum < known_at_or_above && *sum - added < known_at_or_above)) return;
    fits &= static_cast<size_t>(reply->entries_size()) < kMaxReplyEntries;
    if (fits) AddEntry(key, *sum, reply->mutable_entries());
  });
  if (!fits) reply->clear_entries();
  reply->set_only_changed(fits);
  return fits;
}

absl::StatusOr<LookUpReply> WorkerJob::LookUp(const LookUpRequest& request) {
  std::lock_guard sums(sums_mutex_);
  {
    std::lock_guard lock(core_mutex_);
    if (absl::Status admitted = core_.AdmitLookUp(request, options_.cluster_id); !admitted.ok()) return admitted;
  }
  LookUpReply reply;
  const std::vector<std::string_view> keys(request.keys().begin(), request.keys().end());
  const absl::StatusOr<std::vector<std::optional<Units>>> found = totals_.Find(keys);
  if (!found.ok()) return ToldIfFailed(found.status());
  for (size_t i = 0; i < keys.size(); ++i) {
    if ((*found)[i]) AddEntry(keys[i], *(*found)[i], reply.mutable_found());
  }
  if (request.has_at_or_above()) {
    std::vector<TotalEntry> entries;
    const absl::StatusOr<uint64_t> next =
        totals_.AtOrAbove(FromProto(request.at_or_above()), request.from(), options_.part_bytes, &entries);
    if (!next.ok()) return ToldIfFailed(next.status());
    reply.set_next(*next);
    const KeySlice slice{request.slice(), std::max(1u, request.slices())};
    for (const TotalEntry& entry : entries) {
      if (slice.Has(entry.key)) AddEntry(entry.key, entry.sum, reply.mutable_at_or_above());
    }
  }
  if (request.changes_from() != 0) {
    if (!kept_changes_.known()) return absl::FailedPreconditionError("the worker no longer keeps the changes");
    kept_changes_.Tell(request.changes_from(), options_.part_bytes, reply.mutable_changes());
  }
  return reply;
}

absl::StatusOr<PrepareReply> WorkerJob::Prepare(const PrepareRequest& request) {
  std::lock_guard prepare(prepare_mutex_);
  if (stopping_) return absl::UnavailableError("the worker is stopping");
  std::vector<JobCore::ShardRange> ranges;
  {
    std::lock_guard lock(core_mutex_);
    if (absl::Status admitted = core_.AdmitPrepare(request.id(), options_.cluster_id); !admitted.ok()) return admitted;
    absl::StatusOr<std::vector<JobCore::ShardRange>> planned = core_.PlanPrepare(request);
    if (!planned.ok()) return planned.status();
    ranges = *std::move(planned);
  }
  if (prepare_folder_ == nullptr) return absl::FailedPreconditionError("the worker prepares no shard of the job");

  FoldOptions options;
  options.budget = absl::Milliseconds(request.budget_ms());
  options.memory = options_.memory().preparation;
  options.exact = true;
  options.stop = [&] { return stopping_ || assign_waits_; };
  const FoldOutcome outcome = prepare_folder_->Fold(ranges, options);
  PrepareReply reply;
  if (outcome.failure) {
    reply.mutable_failure()->set_reason(*outcome.failure);
    return reply;
  }
  reply.set_waiting_for(outcome.waiting_for);
  if (absl::Status persisted = Persist(outcome); !persisted.ok()) return persisted;
  FaultPoint("worker.prepared");
  std::lock_guard lock(core_mutex_);
  for (const FoldOutcome::Shard& shard : outcome.shards) *reply.add_shards() = core_.Position(shard.state.id().shard());
  return reply;
}

absl::Status WorkerJob::Drop() {
  Stop();
  std::scoped_lock lanes(sums_mutex_, prepare_mutex_);
  sums_folder_.reset();
  prepare_folder_.reset();
  totals_.Clear();
  std::vector<ShardKey> shards;
  for (uint32_t shard = 0; shard < kShards; ++shard) shards.push_back(Key(shard));
  return options_.store->Drop(shards);
}

}  // namespace tenfold
