#include "worker/worker_job.h"

#include <algorithm>
#include <map>
#include <span>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/limits.h"
#include "common/number/digest.h"
#include "common/process/fault_point.h"
#include "common/table/row_pane.h"
#include "glog/logging.h"
#include "google/protobuf/util/message_differencer.h"
#include "jobs/plan/measures.h"
#include "worker/fold/pane_digests.h"

namespace tenfold {
namespace {

// How many changed keys are worth a thread that adds them to the sums while they are persisted.
constexpr uint64_t kKeysAddedAtOnce = 10'000;

// The new state of the shard, if the plan makes one.
const ShardState* FindMade(const JobCore::AssignPlan& plan, uint32_t shard) {
  const auto made = std::ranges::find(plan.create, shard, [](const ShardState& state) { return state.id().shard(); });
  return made == plan.create.end() ? nullptr : &*made;
}

// Whether these digests of a shard's rows by pane are those of its state.
bool ArePanesOf(const std::map<uint64_t, Uint128>& panes, const ShardState& state) {
  return std::ranges::equal(panes, state.panes(), [](const auto& scanned, const PaneDigest& pane) {
    return scanned.first == pane.pane() && scanned.second == FromProto(pane.digest());
  });
}

uint64_t MicrosSince(absl::Time start) { return static_cast<uint64_t>(absl::ToInt64Microseconds(absl::Now() - start)); }

// Tells the driver which windows behind those that are closed have rows: as many as can become final with a batch, and more
// than that only within a range.
void SetWindows(const FoldRequest& request, int64_t panes, const std::vector<const ShardState*>& states, FoldReply* reply) {
  std::vector<std::pair<int64_t, int64_t>> ranges;
  for (const ShardState* const state : states) {
    for (const PaneDigest& digest : state->panes()) {
      const RowPane pane(digest.pane());
      const int64_t first =
          request.has_closed_through() ? std::max(pane.first(panes), request.closed_through() + 1) : pane.first(panes);
      if (first <= pane.last()) ranges.emplace_back(first, pane.last());
    }
  }
  std::ranges::sort(ranges);
  WindowRange* last = nullptr;
  uint64_t windows = 0;
  for (const auto& [first, end] : ranges) {
    if (last == nullptr || first > last->last() + 1) {
      if (last != nullptr) windows += static_cast<uint64_t>(last->last() - last->first() + 1);
      if (windows > kMaxFinalWindows) break;
      last = reply->add_windows();
      last->set_first(first);
      last->set_last(end);
    }
    last->set_last(std::max(last->last(), end));
  }
}

// Tells the driver what the fold waited for, which can only be Kafka.
template <typename Reply>
void SetWaiting(const FoldOutcome& outcome, Reply* reply) {
  if (outcome.waiting_for.empty()) return;
  reply->mutable_waiting()->set_kind(WAITING_KAFKA);
  reply->mutable_waiting()->set_detail(outcome.waiting_for);
}

}  // namespace

WorkerJob::WorkerJob(Options options, const std::vector<ShardState>& found)
    : options_(std::move(options)),
      sums_(PartialSums::Options{.store = options_.store,
                                 .part_bytes = options_.part_bytes,
                                 .max_kept_changes = options_.max_kept_changes,
                                 .stop = [this] { return stopping_.load(); }}),
      core_(options_.job_id, options_.incarnation) {
  for (const ShardState& state : found) core_.Restore(state);
}

// ---- Assign ----

absl::StatusOr<AssignReply> WorkerJob::Handle(const AssignRequest& request) {
  {
    MutexLock lock(&core_mutex_);
    if (absl::Status admitted = core_.AdmitAssign(request.id(), options_.cluster_id); !admitted.ok()) return admitted;
  }
  MutexLock sums(&sums_mutex_);
  assign_waits_ = true;
  MutexLock prepare(&prepare_mutex_);
  assign_waits_ = false;
  if (stopping_) return absl::UnavailableError("the worker is stopping");

  JobCore::AssignPlan plan;
  std::vector<uint32_t> unsound;
  do {
    {
      MutexLock lock(&core_mutex_);
      if (core_.IsSuperseded(request.id())) return absl::AbortedError("a later request was seen");
      plan = core_.PlanAssign(request);
    }
    unsound.clear();
    absl::Status done = DoAssign(request, &plan, &unsound);
    if (done.ok() && unsound.empty()) break;
    // The assignment is done in part, so the sums are built again.
    sums_.Clear();
    if (done.ok()) done = DropUnsound(unsound);
    MutexLock lock(&core_mutex_);
    core_.ForgetRoles();
    for (const uint32_t shard : unsound) core_.Forget(shard);
    if (!done.ok()) return done;
  } while (!unsound.empty());

  AssignReply reply;
  MutexLock lock(&core_mutex_);
  core_.Assigned(request, plan);
  if (core_.lineage().batch() > 0) *reply.mutable_lineage() = core_.lineage();
  for (const uint32_t shard : request.owned()) *reply.add_shards() = core_.Position(shard);
  for (const uint32_t shard : request.prepared()) *reply.add_shards() = core_.Position(shard);
  return reply;
}

absl::Status WorkerJob::DoAssign(const AssignRequest& request, JobCore::AssignPlan* plan, std::vector<uint32_t>* unsound) {
  absl::StatusOr<std::shared_ptr<const LearnedSchemas>> schemas = ReadLearnedSchemas(request.schemas());
  if (!schemas.ok()) return schemas.status();
  sums_schemas_ = prepare_schemas_ = *std::move(schemas);
  sums_wal_ = prepare_wal_ = request.spec().wal();
  if (!plan->leave.empty() || !plan->join.empty()) sums_.ForgetChanges();
  if (absl::Status made = MakeFoldTasks(request); !made.ok()) return made;
  if (request.owned().empty()) {
    sums_.Clear();
    plan->leave.clear();
  }
  sums_.SetRows(MeasuresOf(request.spec()).ranking.OfPartials(), request.spec().fold().general().window().panes());
  sums_.SetLimit(options_.memory().totals_bytes);
  sums_.EndScan();
  if (!sums_.TakesAway() && !plan->leave.empty()) {
    sums_.ReadAnew();
    plan->leave.clear();
  }
  for (const uint32_t shard : plan->leave) {
    if (const absl::StatusOr<Uint128> left = ScanIntoTotals(shard, -1); !left.ok()) return left.status();
  }
  if (absl::Status dropped = DropShards(*plan); !dropped.ok()) return dropped;
  if (absl::Status created = CreateShards(request, plan); !created.ok()) return created;
  if (absl::Status scanned = ScanShards(*plan, unsound); !scanned.ok() || !unsound->empty()) return scanned;
  std::vector<ShardKey> owned;
  for (const uint32_t shard : request.owned()) owned.push_back(Key(shard));
  for (const uint32_t shard : request.owned()) {
    MutexLock lock(&core_mutex_);
    const ShardState* const made = FindMade(*plan, shard);
    sums_.SetPanes(shard, made != nullptr ? *made : core_.state(shard));
  }
  return ToldIfFailed(sums_.SetShards(std::move(owned)));
}

absl::Status WorkerJob::MakeFoldTasks(const AssignRequest& request) {
  if (tasks_of_.brokers() != request.brokers() || tasks_of_.spec().on_bad_record() != request.spec().on_bad_record() ||
      tasks_of_.spec().batch_interval_ms() != request.spec().batch_interval_ms() ||
      !google::protobuf::util::MessageDifferencer::Equals(tasks_of_.spec().source(), request.spec().source())) {
    sums_task_.reset();
    prepare_task_.reset();
    tasks_of_ = request;
  }
  const auto make = [&](bool needed, std::unique_ptr<FoldTask>* task) -> absl::Status {
    if (!needed) task->reset();
    if (!needed || *task != nullptr) return absl::OkStatus();
    absl::StatusOr<std::unique_ptr<FoldTask>> made = options_.make_fold_task(request);
    if (!made.ok()) return made.status();
    *task = *std::move(made);
    return absl::OkStatus();
  };
  if (absl::Status made = make(!request.owned().empty(), &sums_task_); !made.ok()) return made;
  return make(!request.prepared().empty(), &prepare_task_);
}

absl::Status WorkerJob::DropShards(const JobCore::AssignPlan& plan) {
  std::vector<ShardKey> drop;
  for (const uint32_t shard : plan.drop) drop.push_back(Key(shard));
  // An assignment that was not finished may have left states of the shards to be created.
  for (const ShardState& state : plan.create) drop.push_back(Key(state.id().shard()));
  if (drop.empty()) return absl::OkStatus();
  if (absl::Status dropped = ToldIfFailed(options_.store->Drop(drop)); !dropped.ok()) return dropped;
  // Forgotten at once, since a later step may fail and these states are no longer in the store.
  MutexLock lock(&core_mutex_);
  for (const uint32_t shard : plan.drop) core_.Forget(shard);
  return absl::OkStatus();
}

absl::Status WorkerJob::CreateShards(const AssignRequest& request, JobCore::AssignPlan* plan) {
  std::vector<ShardStore::NewShard> create;
  for (ShardState& state : plan->create) {
    std::vector<Delta> rows;
    Uint128 digest = 0;
    for (const InitialScore& initial : request.spec().fold().initial()) {
      if (state.id().shard() != 0) break;
      const absl::StatusOr<Units> score = ParseUnits(initial.score());
      if (!score.ok()) return score.status();
      digest += DigestTerm(rows.emplace_back(Delta{.key = initial.key(), .count = 1, .sum = *score}));
    }
    *state.mutable_digest() = ToProto(digest);
    create.push_back({state, std::move(rows)});
  }
  return create.empty() ? absl::OkStatus() : ToldIfFailed(options_.store->Create(create));
}

absl::Status WorkerJob::ScanShards(const JobCore::AssignPlan& plan, std::vector<uint32_t>* unsound) {
  // A state counts only after a scan, be it the scan that adds it to the sums or one that verifies a state found on disk.
  std::vector<uint32_t> scan = plan.join;
  for (const uint32_t shard : plan.verify) {
    if (std::find(scan.begin(), scan.end(), shard) == scan.end()) scan.push_back(shard);
  }
  for (const uint32_t shard : scan) {
    const bool joins = std::find(plan.join.begin(), plan.join.end(), shard) != plan.join.end();
    std::map<uint64_t, Uint128> panes;
    const absl::StatusOr<Uint128> digest =
        sums_.has_windows() ? ScanPanes(shard, &panes) : ScanIntoTotals(shard, joins ? 1 : 0);
    if (!digest.ok() && !absl::IsDataLoss(digest.status())) return digest.status();
    const ShardState* const made = FindMade(plan, shard);
    MutexLock lock(&core_mutex_);
    const ShardState& state = made != nullptr ? *made : core_.state(shard);
    const bool sound =
        digest.ok() && *digest + FromProto(state.closed()) == FromProto(state.digest()) && ArePanesOf(panes, state);
    if (!sound) unsound->push_back(shard);
  }
  return absl::OkStatus();
}

absl::StatusOr<Uint128> WorkerJob::ScanPanes(uint32_t shard, std::map<uint64_t, Uint128>* panes) {
  bool fits = true;
  absl::StatusOr<Uint128> digest = options_.store->Scan(Key(shard), [this, panes, &fits, sums = &sums_](const Delta& row) {
    fits = row.key.size() > RowPane::kBytes && row.others.size() + 1 == sums->ranking().sums;
    if (!fits) return false;
    (*panes)[RowPane::Of(row.key).number()] += DigestTerm(row);
    return !stopping_;
  });
  if (!fits) return absl::DataLossError("a stored row is none of the job's windows");
  return digest;
}

absl::StatusOr<Uint128> WorkerJob::ScanIntoTotals(uint32_t shard, int sign) {
  std::vector<Units> others;
  bool fits = true;
  const auto negative = [](Units sum) { return static_cast<Units>(0 - static_cast<Uint128>(sum)); };
  absl::StatusOr<Uint128> digest =
      options_.store->Scan(Key(shard), [this, sign, &others, &fits, &negative, sums = &sums_](const Delta& row) {
        fits = sign == 0 || row.others.size() + 1 == sums->ranking().sums;
        if (!fits) return false;
        if (sign > 0) sums->AddRow(row);
        if (sign < 0) {
          others.clear();
          for (const Units other : row.others) others.push_back(negative(other));
          sums->AddRow({.key = row.key, .count = 0 - row.count, .sum = negative(row.sum), .others = others});
        }
        return !stopping_;
      });
  if (!fits) return absl::DataLossError("a stored row has another number of sums than the job");
  return digest;
}

// Drops states whose rows do not have their digest, so that they are folded again from the log.
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

// ---- Fold and LookUp ----

absl::Status WorkerJob::Persist(FoldOutcome* outcome, WalMode wal, Lineage lineage) {
  {
    MutexLock lock(&core_mutex_);
    if (core_.lineage().batch() > lineage.batch()) lineage = core_.lineage();
  }
  std::vector<ShardStore::Update> updates;
  for (FoldOutcome::Shard& shard : outcome->shards) {
    if (lineage.batch() > 0) *shard.state.mutable_lineage() = lineage;
    updates.push_back({.state = &shard.state, .deltas = shard.deltas, .drop_below = shard.drop_below});
  }
  if (updates.empty()) return absl::OkStatus();
  if (absl::Status committed = ToldIfFailed(options_.store->Commit(updates, wal)); !committed.ok()) return committed;
  MutexLock lock(&core_mutex_);
  for (FoldOutcome::Shard& shard : outcome->shards) {
    // Kept for the job as a whole.
    shard.state.clear_lineage();
    core_.Persisted(shard.state);
  }
  return absl::OkStatus();
}

absl::Status WorkerJob::DropClosed(int64_t closed_through, const Lineage& lineage) {
  FoldOutcome dropped;
  {
    MutexLock lock(&core_mutex_);
    for (const uint32_t shard : core_.owned()) {
      const ShardState& present = core_.state(shard);
      if (present.panes().empty() || RowPane(present.panes(0).pane()).last() > closed_through) continue;
      ShardState state = present;
      std::string bound = DropPanes(closed_through, &state);
      if (!bound.empty())
        dropped.shards.push_back({.state = std::move(state), .deltas = {}, .drop_below = std::move(bound)});
    }
  }
  if (dropped.shards.empty()) return absl::OkStatus();
  if (absl::Status closed = ToldIfFailed(sums_.Close(closed_through)); !closed.ok()) return closed;
  if (absl::Status persisted = Persist(&dropped, sums_wal_, lineage); !persisted.ok()) return persisted;
  for (const FoldOutcome::Shard& shard : dropped.shards) sums_.SetPanes(shard.state.id().shard(), shard.state);
  return absl::OkStatus();
}

absl::Status WorkerJob::PersistAndAdd(FoldOutcome* outcome, const Lineage& lineage, FoldReply* reply) {
  std::vector<std::span<const Delta>> deltas;
  for (const FoldOutcome::Shard& shard : outcome->shards) {
    deltas.push_back(shard.deltas);
    reply->set_changed_keys(reply->changed_keys() + shard.deltas.size());
  }
  sums_.SetLimit(options_.memory().totals_bytes);
  absl::Status added;
  const auto add = [&added, &deltas, sums = &sums_] { added = sums->Add(deltas); };
  // What a backlog brings takes about as long in memory as on its way to the disk.
  const bool at_once = reply->changed_keys() >= kKeysAddedAtOnce && sums_.AddsInMemory(deltas);
  std::jthread adding;
  if (at_once) adding = std::jthread(add);
  const absl::Status persisted = Persist(outcome, sums_wal_, lineage);
  if (at_once) adding.join();
  if (persisted.ok()) {
    FaultPoint("worker.persisted");
    for (const FoldOutcome::Shard& shard : outcome->shards) {
      if (sums_.has_windows()) sums_.SetPanes(shard.state.id().shard(), shard.state);
    }
    if (!at_once) add();
    return ToldIfFailed(added);
  }
  if (at_once) {
    sums_.Clear();
    MutexLock lock(&core_mutex_);
    core_.ForgetRoles();
  }
  return persisted;
}

void WorkerJob::DropUnmoved(FoldOutcome* outcome) {
  MutexLock lock(&core_mutex_);
  std::erase_if(outcome->shards, [core = &core_](const FoldOutcome::Shard& shard) {
    const ShardState& before = core->state(shard.state.id().shard());
    for (int i = 0; i < before.partitions_size(); ++i) {
      if (before.partitions(i).next_offset() != shard.state.partitions(i).next_offset()) return false;
    }
    return true;
  });
}

absl::StatusOr<FoldReply> WorkerJob::Handle(const FoldRequest& request) {
  {
    MutexLock lock(&core_mutex_);
    if (absl::Status admitted = core_.AdmitFold(request.id(), options_.cluster_id); !admitted.ok()) return admitted;
  }
  MutexLock sums(&sums_mutex_);
  if (request.has_closed_through()) {
    if (absl::Status dropped = DropClosed(request.closed_through(), request.id().lineage()); !dropped.ok()) return dropped;
  }
  std::vector<JobCore::ShardRange> ranges;
  {
    MutexLock lock(&core_mutex_);
    if (core_.IsSuperseded(request.id())) return absl::AbortedError("a later request was seen");
    absl::StatusOr<std::vector<JobCore::ShardRange>> planned = core_.PlanFold(request);
    if (!planned.ok()) return planned.status();
    ranges = *std::move(planned);
    sums_.Quote(request, core_.Composition());
  }
  if (sums_task_ == nullptr) return absl::FailedPreconditionError("the worker owns no shard of the job");

  const absl::Time start = absl::Now();
  FoldOptions options;
  options.budget = absl::Milliseconds(request.budget_ms());
  options.memory = options_.memory().sums;
  options.exact = request.exact();
  options.schemas = sums_schemas_;
  if (request.has_closed_through()) options.closed_through = request.closed_through();
  options.stop = [&] {
    MutexLock lock(&core_mutex_);
    return stopping_ || core_.IsSuperseded(request.id());
  };
  FoldOutcome outcome = sums_task_->Fold(ranges, options);
  FoldReply reply;
  if (outcome.failure) {
    reply.mutable_failure()->set_reason(*outcome.failure);
    return reply;
  }
  DropUnmoved(&outcome);
  reply.mutable_times()->set_fold_us(MicrosSince(start));
  reply.mutable_times()->set_wait_us(static_cast<uint64_t>(absl::ToInt64Microseconds(outcome.waited)));
  SetWaiting(outcome, &reply);
  reply.mutable_needs_schemas()->Add(outcome.needs_schemas.begin(), outcome.needs_schemas.end());
  if (outcome.reader.kind() != READER_UNKNOWN) *reply.mutable_reader() = outcome.reader;
  const absl::Time persist = absl::Now();
  if (absl::Status taken = PersistAndAdd(&outcome, request.id().lineage(), &reply); !taken.ok()) return taken;
  reply.mutable_times()->set_persist_us(MicrosSince(persist));
  if (stopping_) return absl::UnavailableError("the worker is stopping");
  if (absl::Status answered = Answer(request, &reply); !answered.ok()) return answered;
  return reply;
}

absl::Status WorkerJob::Answer(const FoldRequest& request, FoldReply* reply) {
  {
    MutexLock lock(&core_mutex_);
    core_.Answered(request.id());
    *reply->mutable_composition() = core_.Composition();
    for (const uint32_t s : core_.owned()) {
      *reply->add_shards() = core_.Position(s);
      for (const PartitionState& partition : core_.state(s).partitions()) *reply->add_partitions() = partition;
    }
    if (sums_.has_windows()) {
      std::vector<const ShardState*> states;
      for (const uint32_t s : core_.owned()) states.push_back(&core_.state(s));
      SetWindows(request, sums_.window_panes(), states, reply);
    }
  }
  return ToldIfFailed(sums_.Answer(request, reply));
}

absl::StatusOr<LookUpReply> WorkerJob::Handle(const LookUpRequest& request) {
  MutexLock sums(&sums_mutex_);
  {
    MutexLock lock(&core_mutex_);
    if (absl::Status admitted = core_.AdmitLookUp(request, options_.cluster_id); !admitted.ok()) return admitted;
  }
  absl::StatusOr<LookUpReply> reply = sums_.LookUp(request);
  if (!reply.ok() && !absl::IsFailedPrecondition(reply.status()) && !absl::IsInvalidArgument(reply.status()))
    return ToldIfFailed(reply.status());
  return reply;
}

// ---- Prepare, and the end ----

absl::StatusOr<PrepareReply> WorkerJob::Handle(const PrepareRequest& request) {
  MutexLock prepare(&prepare_mutex_);
  if (stopping_) return absl::UnavailableError("the worker is stopping");
  std::vector<JobCore::ShardRange> ranges;
  {
    MutexLock lock(&core_mutex_);
    if (absl::Status admitted = core_.AdmitPrepare(request.id(), options_.cluster_id); !admitted.ok()) return admitted;
    absl::StatusOr<std::vector<JobCore::ShardRange>> planned = core_.PlanPrepare(request);
    if (!planned.ok()) return planned.status();
    ranges = *std::move(planned);
  }
  if (prepare_task_ == nullptr) return absl::FailedPreconditionError("the worker prepares no shard of the job");

  FoldOptions options;
  options.budget = absl::Milliseconds(request.budget_ms());
  options.memory = options_.memory().preparation;
  options.exact = true;
  options.schemas = prepare_schemas_;
  options.stop = [&] { return stopping_ || assign_waits_; };
  FoldOutcome outcome = prepare_task_->Fold(ranges, options);
  PrepareReply reply;
  if (outcome.failure) {
    reply.mutable_failure()->set_reason(*outcome.failure);
    return reply;
  }
  SetWaiting(outcome, &reply);
  reply.mutable_needs_schemas()->Add(outcome.needs_schemas.begin(), outcome.needs_schemas.end());
  DropUnmoved(&outcome);
  if (absl::Status persisted = Persist(&outcome, prepare_wal_, request.id().lineage()); !persisted.ok()) return persisted;
  FaultPoint("worker.prepared");
  MutexLock lock(&core_mutex_);
  for (const JobCore::ShardRange& range : ranges) *reply.add_shards() = core_.Position(range.state.id().shard());
  return reply;
}

void WorkerJob::Rest() {
  if (!sums_mutex_.try_lock()) return;
  if (sums_task_ != nullptr) sums_task_->Rest();
  sums_mutex_.unlock();
}

bool WorkerJob::KeepToShare() {
  if (!sums_mutex_.try_lock()) return false;
  sums_.SetLimit(options_.memory().totals_bytes);
  sums_.Shrink();
  {
    MutexLock lock(&core_mutex_);
    core_.ForgetAnswer();
  }
  sums_mutex_.unlock();
  return true;
}

absl::Status WorkerJob::Drop() {
  Stop();
  MutexLock sums(&sums_mutex_);
  MutexLock prepare(&prepare_mutex_);
  sums_.Clear();
  std::vector<ShardKey> shards;
  for (uint32_t shard = 0; shard < kShards; ++shard) shards.push_back(Key(shard));
  return options_.store->Drop(shards);
}

}  // namespace tenfold
