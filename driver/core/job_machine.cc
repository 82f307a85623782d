#include "driver/core/job_machine.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/limits.h"
#include "common/number/units.h"
#include "driver/core/batch_planner.h"
#include "driver/core/batch_record.h"
#include "driver/core/lineage.h"
#include "driver/core/merge_options.h"
#include "driver/core/waiting_for.h"
#include "glog/logging.h"
#include "jobs/spec/batch_spec.h"

namespace tenfold {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
// How long a worker may take to answer, besides two intervals, before that is told.
constexpr int64_t kSilenceUs = 5'000'000;

}  // namespace

JobMachine::JobMachine(const ClusterView* cluster, const JobSubmitted& submitted, int64_t submitted_at_us)
    : cluster_(cluster),
      job_(submitted, submitted_at_us, cluster->options.kafka),
      windows_(submitted.spec()),
      acks_(cluster, &job_),
      moves_(cluster, &job_, &acks_),
      search_(&job_),
      schemas_(&job_),
      ends_(&job_),
      merge_(std::make_unique<BatchMerge>(
          MergeOptionsOf(submitted.spec(), cluster->options.merge_floor, cluster->merge_memory))),
      replies_(job_.partitions.size()),
      overhead_ms_(submitted.spec().batch_interval_ms() / 4) {}

// ---- the journal ----

void JobMachine::Append(JournalRecord record, Actions* actions) {
  CHECK(!appending_) << "job " << job_.job_id << " has a record under way";
  appending_ = true;
  ending_refold_ = record.has_refold_switched() || record.has_refold_ended();
  actions->push_back(AppendRecord{std::move(record)});
}

void JobMachine::Apply(const JournalRecord& record, int64_t now_us, Actions* actions) {
  const bool live = std::exchange(appending_, false);
  ending_refold_ = false;
  const BatchCommitted before = record.has_batch_committed() ? std::exchange(job_.last_batch, {}) : BatchCommitted();
  if (record.has_job_updated()) SetResult(record.job_updated().spec());
  // A record about states goes to the job or to its refold; every other record goes to both.
  const bool is_of_refold = IsOfRefold(record);
  const bool is_of_states = record.has_shards_assigned() || record.has_schema_learned();
  if (!is_of_refold) job_.Apply(record);
  if (refold_ != nullptr && is_of_refold == is_of_states) refold_->Apply(record);
  switch (record.kind_case()) {
    case JournalRecord::kPartitionsAdded:
      replies_.Resize(job_.partitions.size());
      // Every owner has to be told of the new partitions, by requests that come after all that name fewer.
      acks_.Clear();
      ++attempt_number_;
      next_start_us_ = live ? now_us : 0;
      break;
    case JournalRecord::kSchemaLearned:
      // Every worker has to be told of it, by requests that come after all that do not.
      ++attempt_number_;
      if (is_of_refold) break;
      schemas_.OnLearned(record.schema_learned().schema().id());
      acks_.Clear();
      next_start_us_ = live ? now_us : 0;
      break;
    case JournalRecord::kShardsAssigned:
      if (is_of_refold) break;
      moves_.OnAssigned();
      next_start_us_ = live ? now_us : 0;
      break;
    case JournalRecord::kBatchCommitted:
      if (live) ApplyBatch(before, now_us, actions);
      break;
    case JournalRecord::kRefoldBegun:
      refold_ = std::make_unique<Refold>(cluster_, job_, record.refold_begun(), record.time_us());
      refold_->moves().Learn(moves_);
      break;
    case JournalRecord::kRefoldSwitched:
      ApplySwitch(record.refold_switched());
      next_start_us_ = live ? now_us : 0;
      break;
    case JournalRecord::kRefoldEnded:
      refold_.reset();
      break;
    case JournalRecord::kJobUpdated:
      refold_.reset();
      search_.Restart();
      schemas_.Restart();
      moves_.OnUpdated();
      ends_.ForgetTruncated();
      // Every owner has to be told, by requests that come after all that were sent with the spec before.
      acks_.Clear();
      spec_attempt_ = ++attempt_number_;
      next_start_us_ = live ? now_us : 0;
      break;
    case JournalRecord::kJobPaused:
    case JournalRecord::kJobResumed:
      SetWaiting({}, now_us);
      // What was seen before the pause lasted no longer than that.
      ends_.ForgetTruncated();
      next_start_us_ = live ? now_us : 0;
      break;
    case JournalRecord::kJobFailed:
    case JournalRecord::kJobFinished:
      refold_.reset();
      merge_->Close();
      break;
    case JournalRecord::kJobCancelled:
      refold_.reset();
      merge_->Close();
      if (live) actions->push_back(CloseJob{job_.job_id});
      break;
    default:
      break;
  }
  if (live) Advance(now_us, actions);
}

void JobMachine::SetResult(const JobSpec& spec) {
  BatchCommitted same;
  same.set_k(job_.spec.top());
  *same.mutable_result() = ResultSpecOf(job_.spec);
  // What is known of workers' sums is of what ranked (rule L2 of the job language): another result begins anew.
  if (!IsResultOf(same, spec))
    merge_ = std::make_unique<BatchMerge>(MergeOptionsOf(spec, cluster_->options.merge_floor, cluster_->merge_memory));
}

void JobMachine::ApplyBatch(const BatchCommitted& before, int64_t now_us, Actions* actions) {
  const BatchCommitted& batch = job_.last_batch;
  actions->push_back(PublishBatch{job_.job_id, batch});
  const Attempt attempt = std::exchange(attempt_, {});
  SetWaiting(attempt.stuck.kind() == WAITING_NOT ? ends_.Stuck() : attempt.stuck, now_us);

  const int64_t interval_us = int64_t{job_.spec.batch_interval_ms()} * 1000;
  const int64_t since_us =
      before.published_at_us() > 0 ? std::max<int64_t>(1, batch.published_at_us() - before.published_at_us()) : interval_us;
  const double rate = static_cast<double>(batch.batch_records()) * 1e6 / static_cast<double>(since_us);
  // The first batch with records since the driver started has no average to be added to.
  records_per_second_ = records_per_second_ == 0 ? rate : 0.7 * records_per_second_ + 0.3 * rate;

  // Final windows that the batch had no room for wait for the next one as records do.
  bool backlog = batch.more_finals();
  // A partition that waits for a schema is no backlog: the next attempt begins once the schema is learned.
  const std::set<uint32_t> held = attempt.NeedSchemas();
  for (uint32_t i = 0; i < attempt.plan.targets.size(); ++i)
    backlog |= job_.next_offsets[i] < attempt.plan.targets[i] && !held.contains(i);
  const int64_t overhead_us = now_us - attempt.started_us - static_cast<int64_t>(batch.timings().fold_us());
  overhead_ms_ = (overhead_ms_ + static_cast<uint32_t>(std::clamp<int64_t>(overhead_us, 0, interval_us) / 1000)) / 2;
  next_start_us_ = NextStart(attempt.started_us, now_us, interval_us, backlog);
}

void JobMachine::Fail(const std::string& reason, Actions* actions) {
  EndAttempt({}, 0, kNever);
  JournalRecord record;
  record.mutable_job_failed()->set_job_id(job_.job_id);
  record.mutable_job_failed()->set_reason(reason);
  Append(std::move(record), actions);
}

void JobMachine::Cancel(Actions* actions) {
  cancel_asked_ = true;
  if (appending_ || job_.cancelled) return;
  EndAttempt({}, 0, kNever);
  JournalRecord record;
  record.mutable_job_cancelled()->set_job_id(job_.job_id);
  Append(std::move(record), actions);
}

void JobMachine::Change(JournalRecord change, int64_t now_us, Actions* actions) {
  changes_.push_back(std::move(change));
  if (CanDecide()) EndAttempt({}, now_us, now_us);
  Advance(now_us, actions);
}

// ---- what to do next ----

void JobMachine::Advance(int64_t now_us, Actions* actions) {
  if (appending_ || job_.cancelled) return;
  acks_.EndRests(now_us);
  if (refold_ != nullptr) refold_->acks().EndRests(now_us);
  if (cancel_asked_) return Cancel(actions);
  if (job_.failed || job_.finished) return;
  if (!forked_.empty()) return Fail(forked_, actions);
  if (attempt_.phase == PHASE_IDLE) {
    if (!changes_.empty()) {
      JournalRecord record = std::move(changes_.front());
      changes_.pop_front();
      return Append(std::move(record), actions);
    }
    if (job_.IsComplete() && refold_ == nullptr) {
      JournalRecord record;
      record.mutable_job_finished()->set_job_id(job_.job_id);
      EndAttempt({}, now_us, kNever);
      return Append(std::move(record), actions);
    }
    if (std::optional<std::vector<ShardAssignment>> plan = moves_.Plan(now_us)) {
      JournalRecord record;
      ShardsAssigned* assigned = record.mutable_shards_assigned();
      assigned->set_job_id(job_.job_id);
      assigned->set_assignment(job_.assignment_number + 1);
      for (ShardAssignment& shard : *plan) *assigned->add_shards() = std::move(shard);
      return Append(std::move(record), actions);
    }
    if (std::vector<Partition> found = search_.Take(); !found.empty()) {
      JournalRecord record;
      PartitionsAdded* added = record.mutable_partitions_added();
      added->set_job_id(job_.job_id);
      for (Partition& partition : found) *added->add_partitions() = std::move(partition);
      return Append(std::move(record), actions);
    }
    if (const std::string failure = schemas_.Failure(); !failure.empty()) return Fail(failure, actions);
    if (std::optional<LearnedSchema> schema = schemas_.Take()) {
      JournalRecord record;
      record.mutable_schema_learned()->set_job_id(job_.job_id);
      *record.mutable_schema_learned()->mutable_schema() = *std::move(schema);
      return Append(std::move(record), actions);
    }
    if (std::optional<JournalRecord> record = NextOfRefold(now_us)) return Append(*std::move(record), actions);
    if (now_us >= next_start_us_) job_.IsPaused() ? LookAtEnds(now_us, actions) : BeginAttempt(now_us, actions);
  }
  if (search_.Begin(now_us)) actions->push_back(FindPartitions{job_.job_id});
  Ask(job_, &schemas_, now_us, actions);
  AssignOutsideAttempt(job_, &acks_, actions);
  Prepare(job_, &moves_, now_us, actions);
  if (refold_ == nullptr) return;
  Ask(refold_->job(), &refold_->schemas(), now_us, actions);
  AssignOutsideAttempt(refold_->job(), &refold_->acks(), actions);
  Prepare(refold_->job(), &refold_->moves(), now_us, actions);
}

void JobMachine::Ask(const JournalledJob& job, SchemaSearch* schemas, int64_t now_us, Actions* actions) {
  for (const uint32_t id : schemas->Begin(now_us))
    actions->push_back(AskSchema{job.job_id, job.states_id, id, schemas->generation()});
}

void JobMachine::Prepare(const JournalledJob& job, ShardMoves* moves, int64_t now_us, Actions* actions) {
  for (const std::string& worker : moves->Preparers())
    actions->push_back(Send<PrepareRequest>{worker, moves->MakePrepare(worker, MakeId(worker, job), now_us)});
}

void JobMachine::AssignOutsideAttempt(const JournalledJob& job, AssignmentAcks* acks, Actions* actions) {
  const std::set<std::string> owners = job.Owners();
  for (const auto& [worker_id, worker] : cluster_->workers) {
    const std::string& id = worker_id;
    if (worker.state != WORKER_LIVE || acks->Has(id) || acks->IsAsked(id) || acks->Rests(id)) continue;
    // An attempt tells the owners itself. If none can begin, because a shard has no live owner, they are told here.
    const bool owns = owners.contains(id);
    if (owns && attempt_.phase != PHASE_IDLE) continue;
    const bool prepares = std::any_of(job.assignment.begin(), job.assignment.end(),
                                      [&](const ShardAssignment& shard) { return shard.next_owner() == id; });
    if (!owns && !prepares && !worker.job_ids.contains(job.states_id)) continue;
    acks->SetAsked(id);
    AssignRequest request = job.MakeAssign(id, MakeId(id, job));
    replies_.SetLogs(&request);
    actions->push_back(Send<AssignRequest>{id, std::move(request)});
  }
}

int64_t JobMachine::NextTimeUs() const {
  if (appending_ || job_.IsOver()) return kNever;
  int64_t next = std::min(search_.NextTimeUs(), schemas_.NextTimeUs());
  if (attempt_.phase == PHASE_IDLE) next = std::min(next, next_start_us_);
  if (refold_ != nullptr) next = std::min({next, refold_->acks().NextTimeUs(), refold_->schemas().NextTimeUs()});
  return std::min(next, acks_.NextTimeUs());
}

// ---- assign ----

void JobMachine::BeginAssign(int64_t now_us, Actions* actions) {
  attempt_.phase = PHASE_ASSIGN;
  ++attempt_number_;
  const std::set<std::string> owners = job_.Owners();
  attempt_.owners.assign(owners.begin(), owners.end());
  for (const std::string& owner : attempt_.owners) {
    if (!acks_.Has(owner)) Ask(owner, job_.MakeAssign(owner, MakeId(owner)), now_us, actions);
  }
  if (attempt_.awaited.empty()) BeginFold(now_us, actions);
}

void JobMachine::OnReply(const Send<AssignRequest>& sent, const absl::StatusOr<AssignReply>& reply, int64_t now_us,
                         Actions* actions) {
  const RequestId& id = sent.request.id();
  if (id.job_id() != job_.states_id) return OnRefoldReply(sent, reply, now_us, actions);
  acks_.SetAnswered(sent.worker);
  if (job_.IsOver() || id.epoch() != cluster_->epoch || id.assignment() != job_.assignment_number ||
      sent.request.partitions_size() != static_cast<int>(job_.partitions.size()) ||
      sent.request.schemas_size() != static_cast<int>(job_.schemas.size()) || id.attempt() < spec_attempt_) {
    return Advance(now_us, actions);
  }
  const bool awaited = IsAwaited(PHASE_ASSIGN, sent.worker, id);
  if (!reply.ok()) {
    NoteRefusal(sent.worker, reply.status());
    acks_.Rest(sent.worker, now_us);
    if (awaited) EndAttempt(WaitingForWorker(sent.worker, reply.status().message()), now_us, now_us + kRetryUs);
    return Advance(now_us, actions);
  }
  if (reply->has_lineage() && reply->lineage().batch() < job_.lineage.batch())
    actions->push_back(CompareLineage{job_.job_id, sent.worker, reply->lineage()});
  acks_.Add(sent.worker, id);
  moves_.OnAssignReply(sent.worker, sent.request, *reply);
  if (awaited) {
    SetAnswered(sent.worker);
    if (attempt_.awaited.empty()) BeginFold(now_us, actions);
  }
  Advance(now_us, actions);
}

// ---- fold ----

void JobMachine::BeginFold(int64_t now_us, Actions* actions) {
  attempt_.phase = PHASE_FOLD;
  attempt_.replays = moves_.replays();
  attempt_.replied_us = now_us;
  // A guess, as the records that are folded now may have later times.
  if (windows_.any() && job_.IsBatchOfFold() && job_.last_batch.has_window()) attempt_.window = job_.last_batch.window();
  AskFolds(now_us, actions);
}

void JobMachine::AskFolds(int64_t now_us, Actions* actions) {
  attempt_.phase = PHASE_FOLD;
  const std::optional<int64_t> window = attempt_.AskedWindow();
  if (attempt_.final_merge == nullptr && window != merge_window_) {
    merge_->Forget();
    merge_window_ = window;
  }
  std::vector<MergeSource> sources;
  for (const std::string& owner : attempt_.owners)
    sources.push_back({owner, cluster_->workers.at(owner).incarnation, job_.assignment_number});
  merge().Begin(std::move(sources));
  const std::vector<int64_t>& targets = attempt_.replays ? job_.next_offsets : attempt_.plan.targets;
  for (size_t w = 0; w < attempt_.owners.size(); ++w) {
    const std::string& owner = attempt_.owners[w];
    FoldRequest request = job_.MakeFold(owner, MakeId(owner), targets, window);
    request.set_exact(attempt_.replays);
    request.set_budget_ms(FoldBudgetMs(job_.spec.batch_interval_ms(), overhead_ms_));
    merge().Quote(w, &request);
    Ask(owner, std::move(request), now_us, actions);
  }
}

void JobMachine::OnReply(const Send<FoldRequest>& sent, const absl::StatusOr<FoldReply>& reply, int64_t now_us,
                         Actions* actions) {
  if (!IsAwaited(PHASE_FOLD, sent.worker, sent.request.id())) return;
  if (!reply.ok()) {
    FailAttempt(sent.worker, reply.status(), now_us);
    return Advance(now_us, actions);
  }
  if (reply->has_failure()) return Fail(reply->failure().reason(), actions);
  schemas_.Need(reply->needs_schemas());
  absl::Status fits = merge().CheckReply(attempt_.PlaceOf(sent.worker), *reply);
  if (fits.ok()) fits = attempt_.Take(sent.worker, *reply);
  if (!fits.ok()) {
    FailAttempt(sent.worker, fits, now_us);
    return Advance(now_us, actions);
  }
  SetAnswered(sent.worker);
  if (attempt_.awaited.empty()) OnFolded(now_us, actions);
  Advance(now_us, actions);
}

void JobMachine::OnFolded(int64_t now_us, Actions* actions) {
  // The compositions were checked when the first replies came, and are the same.
  if (attempt_.window_settled) return BeginMerge(now_us, actions);
  for (const auto& [worker, reply] : attempt_.replies) {
    if (const std::optional<uint32_t> shard = moves_.FindDoubtful(reply))
      return Doubt(*shard, job_.assignment[*shard].owner(), now_us, actions);
  }
  Waiting stuck = attempt_.Stuck(job_);
  if (stuck.kind() == WAITING_NOT) stuck = schemas_.waiting();
  Waiting unfit = attempt_.Unfit(job_);
  if (attempt_.replays) return OnReplayed(stuck.kind() == WAITING_NOT ? unfit : stuck, now_us);
  if (unfit.kind() != WAITING_NOT) {
    acks_.Clear();
    return EndAttempt(std::move(unfit), now_us, now_us + kRetryUs);
  }
  if (!job_.IsBatchDue() && !attempt_.decrees && !attempt_.Moved(job_)) {
    const bool is_stuck = attempt_.plan.lag > 0;
    if (is_stuck && stuck.kind() == WAITING_NOT) stuck = WaitingForKafka(job_.brokers());
    const int64_t interval_us = int64_t{job_.spec.batch_interval_ms()} * 1000;
    const int64_t retry_us = stuck.kind() == WAITING_SCHEMA ? now_us + kRetryKafkaUs
                             : is_stuck                     ? now_us + kRetryUs
                                        : NextStart(attempt_.started_us, now_us, interval_us, /*backlog=*/false);
    return EndAttempt(std::move(stuck), now_us, retry_us);
  }

  attempt_.stuck = std::move(stuck);
  attempt_.stuck.set_phase(PHASE_FOLD);
  attempt_.replied_us = now_us;
  attempt_.window_settled = true;
  if (windows_.any()) {
    const std::optional<int64_t> window = windows_.Current(attempt_.Partitions(), job_.closed_through());
    if (std::exchange(attempt_.window, window) != window) return AskFolds(now_us, actions);
  }
  BeginMerge(now_us, actions);
}

void JobMachine::OnReplayed(const Waiting& waiting, int64_t now_us) {
  moves_.OnReplayed(attempt_.replies);
  EndAttempt(waiting, now_us, waiting.kind() == WAITING_KAFKA ? now_us + kRetryUs : now_us);
}

void JobMachine::Doubt(uint32_t shard, const std::string& worker, int64_t now_us, Actions* actions) {
  Waiting waiting = WaitingFor(WAITING_DOUBTED_SHARD);
  waiting.set_shard(shard);
  EndAttempt(std::move(waiting), now_us, now_us);
  // The merge may know entries at a composition whose sums are doubtful now.
  merge_->Forget();
  if (const std::string failure = moves_.Doubt(shard, worker); !failure.empty()) Fail(failure, actions);
}

// ---- waiting ----

void JobMachine::SetWaiting(Waiting waiting, int64_t now_us) {
  const bool same = SameThing(waiting, waiting_);
  waiting.set_since_us(same ? waiting_.since_us() : now_us);
  waiting_ = std::move(waiting);
}

void JobMachine::EndAttempt(Waiting waiting, int64_t now_us, int64_t retry_us) {
  waiting.set_phase(attempt_.phase);
  attempt_ = {};
  SetWaiting(std::move(waiting), now_us);
  next_start_us_ = retry_us;
}

void JobMachine::NoteRefusal(const std::string& worker, const absl::Status& status) {
  if (!absl::IsOutOfRange(status)) return;
  absl::string_view knows = status.message();
  const WorkerInfo* const info = cluster_->Find(worker);
  if (info != nullptr) absl::ConsumePrefix(&knows, info->address + ": ");
  forked_ = ForkFailure(absl::StrCat("worker ", worker), knows);
}

void JobMachine::FailAttempt(const std::string& worker, const absl::Status& status, int64_t now_us) {
  NoteRefusal(worker, status);
  acks_.Remove(worker);
  acks_.Rest(worker, now_us);
  EndAttempt(WaitingForWorker(worker, status.message()), now_us, now_us + kRetryUs);
}

// ---- other events ----

void JobMachine::OnReply(const Send<PrepareRequest>& sent, const absl::StatusOr<PrepareReply>& reply, int64_t now_us,
                         Actions* actions) {
  if (sent.request.id().job_id() != job_.states_id) return OnRefoldReply(sent, reply, now_us, actions);
  const ShardMoves::Prepared prepared = moves_.OnReply(sent.worker, sent.request, reply, now_us);
  if (!prepared.counts) return;
  if (reply.ok()) schemas_.Need(reply->needs_schemas());
  // Nothing is decided while a record is being journalled; the shard is found doubtful, or ownerless, again.
  if (CanDecide() && prepared.orphaned) return Fail(prepared.failure, actions);
  if (CanDecide() && prepared.doubtful) Doubt(*prepared.doubtful, sent.worker, now_us, actions);
  Advance(now_us, actions);
}

void JobMachine::OnWorkersChanged(int64_t now_us, Actions* actions) {
  if (job_.IsOver()) return;
  acks_.OnWorkersChanged();
  moves_.OnWorkersChanged();
  if (refold_ != nullptr) refold_->acks().OnWorkersChanged();
  if (refold_ != nullptr) refold_->moves().OnWorkersChanged();
  if (attempt_.phase == PHASE_ASSIGN || attempt_.phase == PHASE_FOLD || attempt_.phase == PHASE_MERGE) {
    const auto lost = std::find_if(attempt_.owners.begin(), attempt_.owners.end(), [&](const std::string& owner) {
      const bool is_told = attempt_.phase == PHASE_ASSIGN && attempt_.awaited.contains(owner);
      return is_told ? !cluster_->IsLive(owner) : !acks_.Has(owner);
    });
    if (lost != attempt_.owners.end()) EndAttempt(WaitingForWorker(*lost), now_us, now_us);
  } else if (attempt_.phase == PHASE_IDLE && waiting_.kind() != WAITING_NOT) {
    next_start_us_ = std::min(next_start_us_, now_us);
  }
  Advance(now_us, actions);
}

void JobMachine::OnTime(int64_t now_us, Actions* actions) {
  const int64_t patience_us = kSilenceUs + 2 * int64_t{job_.spec.batch_interval_ms()} * 1000;
  if (!job_.IsOver() && !attempt_.awaited.empty() && now_us - attempt_.asked_us >= patience_us) {
    attempt_.silent = attempt_.awaited.begin()->first;
    SetWaiting(WaitingForWorker(attempt_.silent, "it has yet to answer"), now_us);
  }
  Advance(now_us, actions);
}

void JobMachine::OnForked(const std::string& who, const std::string& knows, int64_t now_us, Actions* actions) {
  forked_ = ForkFailure(who, knows);
  Advance(now_us, actions);
}

void JobMachine::OnPaused(int64_t paused_us) {
  ends_.OnPaused(paused_us);
  search_.OnPaused(paused_us);
  schemas_.OnPaused(paused_us);
  if (refold_ != nullptr) refold_->schemas().OnPaused(paused_us);
}

void JobMachine::OnPartitions(const absl::StatusOr<FoundPartitions>& found, int64_t now_us, Actions* actions) {
  const bool is_first = !search_.answered();
  search_.OnAnswer(found, now_us);
  if (job_.IsOver()) return;
  // What is under way to the journal is decided; the next search finds the same.
  if (const std::string failure = search_.Failure(now_us); CanDecide() && !failure.empty()) return Fail(failure, actions);
  if (found.ok()) moves_.OnFound(*found);
  if (found.ok() && refold_ != nullptr) refold_->moves().OnFound(*found);
  if (found.ok()) ends_.TakeHighWatermarks(found->high_watermarks, found->holders, now_us);
  const bool is_awaited = is_first && attempt_.phase == PHASE_PLAN;
  if (is_awaited && !found.ok()) {
    EndAttempt(WaitingForKafka(job_.brokers(), found.status().message()), now_us, now_us + kRetryKafkaUs);
  } else if (is_awaited) {
    BeginPlan(now_us, actions);
  } else if (!search_.compacted().empty() && attempt_.phase != PHASE_IDLE && CanDecide()) {
    EndAttempt({}, now_us, now_us);
  }
  Advance(now_us, actions);
}

void JobMachine::OnSchema(const AskSchema& asked, const absl::StatusOr<LearnedSchema>& answer, int64_t now_us,
                          Actions* actions) {
  if (job_.IsOver()) return;
  if (asked.states_id == job_.states_id) schemas_.OnAnswer(asked.id, asked.generation, answer, now_us);
  if (refold_ != nullptr && asked.states_id == refold_->job().states_id)
    refold_->schemas().OnAnswer(asked.id, asked.generation, answer, now_us);
  Advance(now_us, actions);
}

// ---- requests ----

RequestId JobMachine::MakeId(const std::string& worker, const JournalledJob& job) {
  RequestId id;
  id.set_cluster_id(cluster_->cluster_id);
  id.set_job_id(job.states_id);
  id.set_epoch(cluster_->epoch);
  id.set_attempt(attempt_number_);
  id.set_assignment(job.assignment_number);
  id.set_step(++step_);
  if (job_.lineage.batch() > 0) *id.mutable_lineage() = job_.lineage;
  if (const auto it = cluster_->workers.find(worker); it != cluster_->workers.end())
    id.set_incarnation(it->second.incarnation);
  return id;
}

void JobMachine::SetAnswered(const std::string& worker) {
  attempt_.awaited.erase(worker);
  if (attempt_.silent != worker) return;
  attempt_.silent.clear();
  SetWaiting({}, 0);
}

bool JobMachine::IsAwaited(JobPhase phase, const std::string& worker, const RequestId& id) const {
  return !job_.IsOver() && attempt_.phase == phase && id.epoch() == cluster_->epoch && attempt_.Awaits(worker, id.step());
}

// ---- what it is ----

JobState JobMachine::state() const {
  if (job_.cancelled) return JOB_CANCELLED;
  if (job_.failed) return JOB_FAILED;
  if (job_.finished) return JOB_FINISHED;
  if (job_.IsPaused()) return JOB_PAUSED;
  return waiting_.kind() == WAITING_NOT || waiting_.kind() == WAITING_STUCK ? JOB_RUNNING : JOB_WAITING;
}

JobStatus JobMachine::Status() const {
  JobStatus status = job_.Status();
  status.set_state(state());
  if (state() == JOB_PAUSED) status.set_paused_at_us(job_.paused_at_us);
  if (!job_.IsOver() && waiting_.kind() != WAITING_NOT) *status.mutable_waiting() = waiting_;
  status.set_lag(lag());
  if (!job_.IsPaused()) status.set_records_per_second(records_per_second_);
  for (uint32_t p = 0; p < job_.partitions.size(); ++p) *status.add_partitions() = ends_.Status(p);
  replies_.Fill(&status);
  if (refold_ != nullptr) *status.mutable_refold() = refold_->Status();
  return status;
}

}  // namespace tenfold
