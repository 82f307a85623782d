#include "driver/core/cluster_machine.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/text/address.h"
#include "driver/core/epoch.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

const std::string& JobIdOf(const JournalRecord& record) {
  static const std::string none;
  switch (record.kind_case()) {
    case JournalRecord::kJobSubmitted:
      return record.job_submitted().job_id();
    case JournalRecord::kPartitionsAdded:
      return record.partitions_added().job_id();
    case JournalRecord::kShardsAssigned:
      return record.shards_assigned().job_id();
    case JournalRecord::kBatchCommitted:
      return record.batch_committed().job_id();
    case JournalRecord::kJobUpdated:
      return record.job_updated().job_id();
    case JournalRecord::kJobPaused:
      return record.job_paused().job_id();
    case JournalRecord::kJobResumed:
      return record.job_resumed().job_id();
    case JournalRecord::kRefoldBegun:
      return record.refold_begun().job_id();
    case JournalRecord::kRefoldSwitched:
      return record.refold_switched().job_id();
    case JournalRecord::kSchemaLearned:
      return record.schema_learned().job_id();
    case JournalRecord::kRefoldEnded:
      return record.refold_ended().job_id();
    case JournalRecord::kJobFailed:
      return record.job_failed().job_id();
    case JournalRecord::kJobFinished:
      return record.job_finished().job_id();
    case JournalRecord::kJobCancelled:
      return record.job_cancelled().job_id();
    default:
      return none;
  }
}

// Whether workers may have other states to keep than before the record, or states of other shards.
bool ChangesStates(const JournalRecord& record) {
  switch (record.kind_case()) {
    case JournalRecord::kShardsAssigned:
    case JournalRecord::kJobUpdated:
    case JournalRecord::kRefoldBegun:
    case JournalRecord::kRefoldSwitched:
    case JournalRecord::kRefoldEnded:
    case JournalRecord::kJobFailed:
    case JournalRecord::kJobFinished:
    case JournalRecord::kJobCancelled:
      return true;
    default:
      return false;
  }
}

// Forgets what a result is; the rest of the batch stays.
void ClearResult(BatchCommitted* batch) {
  batch->clear_top();
  batch->clear_groups();
  batch->clear_finals();
}

absl::Status CheckHeartbeat(const HeartbeatRequest& request) {
  if (request.worker_id().empty() || request.incarnation() == 0)
    return absl::InvalidArgumentError("the heartbeat names no worker, or no process");
  const std::string wrong = CheckPeerAddress(request.address());
  return wrong.empty() ? absl::OkStatus() : absl::InvalidArgumentError(absl::StrCat("--advertise: ", wrong));
}

}  // namespace

void ClusterMachine::Replay(const JournalRecord& record) {
  Actions none;
  Apply(record, record.time_us(), &none);
}

void ClusterMachine::Start(const std::string& new_cluster_id, uint64_t random, int64_t now_us, Actions* actions) {
  cluster_.awaiting_until_us = now_us + cluster_.LeaseUs();
  last_time_us_ = now_us;
  if (cluster_.cluster_id.empty()) {
    JournalRecord created;
    created.mutable_cluster_created()->set_cluster_id(new_cluster_id);
    actions->push_back(AppendRecord{std::move(created)});
  }
  JournalRecord epoch;
  epoch.mutable_epoch_started()->set_epoch(NextEpoch(cluster_.epoch, random, cluster_.options.restored));
  actions->push_back(AppendRecord{std::move(epoch)});
}

void ClusterMachine::Apply(const JournalRecord& record, int64_t now_us, Actions* actions) {
  switch (record.kind_case()) {
    case JournalRecord::kClusterCreated:
      cluster_.cluster_id = record.cluster_created().cluster_id();
      return;
    case JournalRecord::kEpochStarted:
      cluster_.epoch = record.epoch_started().epoch();
      return;
    case JournalRecord::kJobSubmitted: {
      const JobSubmitted& submitted = record.job_submitted();
      submitting_.erase(submitted.spec().name());
      job_of_states_[submitted.job_id()] = submitted.job_id();
      jobs_[submitted.job_id()] = std::make_unique<JobMachine>(&cluster_, submitted, record.time_us());
      return;
    }
    case JournalRecord::KIND_NOT_SET:
      LOG(FATAL) << "a journal record without a kind";
    default:
      break;
  }
  JobMachine* job = Find(JobIdOf(record));
  if (job == nullptr) {
    // A journal is replayed with its batches after all other records.
    for (JobStatus& cancelled : cancelled_) {
      if (!record.has_batch_committed() || cancelled.job_id() != JobIdOf(record)) continue;
      cancelled.set_batch(record.batch_committed().batch());
      *cancelled.mutable_last_batch() = record.batch_committed();
      ClearResult(cancelled.mutable_last_batch());
    }
    return;
  }
  if (record.has_refold_begun()) job_of_states_[record.refold_begun().states_id()] = JobIdOf(record);
  job->Apply(record, now_us, actions);
  if (record.has_job_cancelled()) {
    JobStatus cancelled = job->Status();
    cancelled.clear_lag();
    cancelled.clear_records_per_second();
    cancelled.clear_partitions();
    cancelled.clear_shards();
    // The top is no longer shown, and it may take a megabyte.
    ClearResult(cancelled.mutable_last_batch());
    cancelled_.push_front(std::move(cancelled));
    if (cancelled_.size() > kMaxCancelledShown) cancelled_.pop_back();
    jobs_.erase(JobIdOf(record));
  }
  if (!ChangesStates(record)) return;
  if (record.has_shards_assigned()) planned_.erase(StatesOf(record.shards_assigned()));
  std::erase_if(planned_, [this](const auto& planned) {
    const JobMachine* const of = FindOfStates(planned.first);
    return of == nullptr || of->job().finished;
  });
  CountShards();
}

void ClusterMachine::OnJournaled(const JournalRecord& record, int64_t now_us, Actions* actions) {
  NotePause(now_us);
  const Planning planning(this, actions);
  Apply(record, now_us, actions);
  if (record.has_epoch_started()) started_ = true;
  if (record.has_epoch_started() || record.has_job_submitted()) OnTime(now_us, actions);
}

void ClusterMachine::OnTime(int64_t now_us, Actions* actions) {
  NotePause(now_us);
  if (!started_) return;
  CheckMembers(/*changed=*/false, now_us, actions);
  for (auto& [id, job] : jobs_) {
    const Planning planning(this, actions);
    job->OnTime(now_us, actions);
  }
}

int64_t ClusterMachine::NextTimeUs() const {
  if (!started_) return std::numeric_limits<int64_t>::max();
  int64_t next = last_time_us_ + TickUs();
  next = std::min(next, members_.NextTimeUs());
  if (cluster_.awaiting_until_us != 0) next = std::min(next, cluster_.awaiting_until_us);
  for (const auto& [id, job] : jobs_) next = std::min(next, job->NextTimeUs());
  return next;
}

int64_t ClusterMachine::TickUs() const { return std::max<int64_t>(1000, cluster_.LeaseUs() / 4); }

void ClusterMachine::NotePause(int64_t now_us) {
  const int64_t paused_us = now_us - std::exchange(last_time_us_, now_us) - TickUs();
  // A busy machine is a little late now and then, which is no pause.
  if (!started_ || paused_us <= TickUs()) return;
  LOG(WARNING) << "the driver stood still for " << paused_us / 1000 << " ms; leases are longer by that";
  members_.OnPaused(paused_us, now_us);
  if (cluster_.awaiting_until_us != 0) cluster_.awaiting_until_us += paused_us;
  for (auto& [id, job] : jobs_) job->OnPaused(paused_us);
}

void ClusterMachine::CheckMembers(bool changed, int64_t now_us, Actions* actions) {
  changed |= members_.Check(now_us);
  if (cluster_.awaiting_until_us != 0 && now_us >= cluster_.awaiting_until_us) {
    cluster_.awaiting_until_us = 0;
    changed = true;
  }
  if (changed) {
    CountShards();
    for (auto& [id, job] : jobs_) {
      const Planning planning(this, actions);
      job->OnWorkersChanged(now_us, actions);
    }
  }
  for (Send<PingRequest>& ping : members_.Pings(now_us)) actions->push_back(std::move(ping));
}

void ClusterMachine::OnReply(const Send<PingRequest>& sent, const absl::StatusOr<PingReply>& reply, int64_t now_us,
                             Actions* actions) {
  NotePause(now_us);
  members_.OnPingEnded(sent.request, reply.status(), now_us);
  CheckMembers(/*changed=*/false, now_us, actions);
}

absl::StatusOr<HeartbeatReply> ClusterMachine::OnHeartbeat(const HeartbeatRequest& request, int64_t now_us,
                                                           Actions* actions) {
  NotePause(now_us);
  if (!started_) return absl::UnavailableError("the driver is starting");
  if (const absl::Status sound = CheckHeartbeat(request); !sound.ok()) return sound;
  if (!request.cluster_id().empty() && request.cluster_id() != cluster_.cluster_id) {
    return absl::PermissionDeniedError(absl::StrCat("the worker's data directory belongs to cluster ", request.cluster_id(),
                                                    ", this driver's cluster is ", cluster_.cluster_id));
  }
  const absl::StatusOr<bool> changed = members_.OnHeartbeat(request, now_us);
  if (!changed.ok()) return changed.status();

  HeartbeatReply reply;
  reply.set_cluster_id(cluster_.cluster_id);
  reply.set_epoch(cluster_.epoch);
  reply.set_lease_ms(cluster_.options.lease_ms);
  reply.set_notice(members_.TakeNotice(request.worker_id()));
  for (const std::string& job_id : request.job_ids()) {
    const JobMachine* const job = FindOfStates(job_id);
    const bool is_known = job_of_states_.contains(job_id);
    JobMachine* const of = is_known ? nullptr : Find(JobIdOfStates(job_id));
    // A refold that another journal has begun is over with its job.
    const bool is_over = is_known ? job == nullptr : of == nullptr && job_of_states_.contains(JobIdOfStates(job_id));
    if (is_over || (job != nullptr && job->job().finished)) {
      reply.add_dropped_job_ids(job_id);
    } else if (of != nullptr) {
      const Planning planning(this, actions);
      of->OnForked(absl::StrCat("worker ", request.worker_id()),
                   "has states of a refold of the job, which the journal does not know", now_us, actions);
    } else if (!is_known && unknown_ids_.insert(job_id).second) {
      LOG(WARNING) << "worker " << request.worker_id() << " has states of job " << job_id
                   << ", which the journal does not know: it is an older copy. The states stay where they are";
    }
  }
  if (*changed) CheckMembers(/*changed=*/true, now_us, actions);
  return reply;
}

void ClusterMachine::CountShards() {
  for (auto& [id, worker] : cluster_.workers) worker.shards = worker.jobs = 0;
  for (const auto& [id, job] : jobs_) {
    // Workers drop what they have of it.
    if (job->job().finished) continue;
    CountStates(job->job(), job->places());
    // Workers have files and threads for these states as for another job's.
    if (job->refold() != nullptr) CountStates(job->refold()->job(), {});
  }
}

void ClusterMachine::CountStates(const JournalledJob& job, std::set<std::string> has) {
  if (const auto planned = planned_.find(job.states_id); planned != planned_.end()) {
    for (const ShardAssignment& shard : planned->second.shards()) has.insert({shard.owner(), shard.next_owner()});
  }
  for (const ShardAssignment& shard : job.assignment) {
    has.insert({shard.owner(), shard.next_owner()});
    if (const auto it = cluster_.workers.find(shard.owner()); it != cluster_.workers.end()) ++it->second.shards;
  }
  for (const std::string& worker : has) {
    if (const auto it = cluster_.workers.find(worker); it != cluster_.workers.end()) ++it->second.jobs;
  }
}

std::string ClusterMachine::StatesOf(const ShardsAssigned& assigned) {
  if (!assigned.states_id().empty()) return assigned.states_id();
  const JobMachine* const job = Find(assigned.job_id());
  return job == nullptr ? assigned.job_id() : job->job().states_id;
}

void ClusterMachine::CountPlanned(const Actions& actions, size_t from) {
  for (size_t i = from; i < actions.size(); ++i) {
    const auto* append = std::get_if<AppendRecord>(&actions[i]);
    if (append == nullptr || !append->record.has_shards_assigned()) continue;
    planned_[StatesOf(append->record.shards_assigned())] = append->record.shards_assigned();
    CountShards();
  }
}

std::string ClusterMachine::CheckRoom() const {
  if (const size_t most = cluster_.options.max_jobs; most != 0 && jobs_.size() + submitting_.size() >= most) {
    return absl::StrCat("the driver has ", jobs_.size(), " jobs, as many as ", cluster_.options.limit,
                        " allows. Raise that (ulimit -n, LimitNOFILE), or cancel a job");
  }
  const std::string full = cluster_.NoRoom();
  if (full.empty()) return "";
  return absl::StrCat(full, ", and no other has room. Add a worker, raise its limit, or cancel a job");
}

absl::Status ClusterMachine::Submit(const JobSubmitted& submitted, Actions* actions) {
  if (!started_) return absl::UnavailableError("the driver is starting");
  const std::string& name = submitted.spec().name();
  if (const JobMachine* job = FindJob(name); job != nullptr || submitting_.contains(name)) {
    return absl::AlreadyExistsError(absl::StrCat(
        "the name ", name, " is taken by ",
        job == nullptr                 ? "a job"
        : job->state() == JOB_FAILED   ? "a failed job"
        : job->state() == JOB_FINISHED ? "a finished job"
                                       : "a job",
        "; cancel that one first (tenfold cancel ", name, ")",
        job != nullptr && job->job().IsOver() ? " or choose another name"
                                              : ", choose another name, or change the job (tenfold submit --update)"));
  }
  const bool under_way =
      std::ranges::any_of(submitting_, [&](const auto& other) { return other.second == submitted.job_id(); });
  if (under_way || job_of_states_.contains(submitted.job_id()))
    return absl::AlreadyExistsError(absl::StrCat("the job id ", submitted.job_id(), " is taken"));
  if (const std::string full = CheckRoom(); !full.empty())
    return absl::ResourceExhaustedError(absl::StrCat("job ", name, " does not fit: ", full));
  submitting_[name] = submitted.job_id();
  JournalRecord record;
  *record.mutable_job_submitted() = submitted;
  actions->push_back(AppendRecord{std::move(record)});
  return absl::OkStatus();
}

absl::Status ClusterMachine::Change(JournalRecord change, int64_t now_us, Actions* actions) {
  NotePause(now_us);
  JobMachine* job = Find(JobIdOf(change));
  if (job == nullptr) return absl::NotFoundError(absl::StrCat("there is no job ", JobIdOf(change)));
  if (job->job().IsOver()) {
    return absl::FailedPreconditionError(absl::StrCat("job ", job->name(),
                                                      job->job().finished ? " is finished" : " has failed",
                                                      ", and does not go on; cancel it and submit it anew"));
  }
  // The request was compared with a spec that the job may be about to leave.
  if (job->is_ending_refold() && (change.has_job_updated() || change.has_refold_begun()))
    return absl::UnavailableError(absl::StrCat("the refold of job ", job->name(), " ends just now; ask again"));
  if (change.has_refold_begun()) {
    if (const std::string reason = job->CannotRefold(); !reason.empty())
      return absl::FailedPreconditionError(absl::StrCat("job ", job->name(), " cannot be refolded: ", reason));
    if (const std::string full = cluster_.NoRoom(); !full.empty() && job->refold() == nullptr)
      return absl::ResourceExhaustedError(
          absl::StrCat("the states that a refold of job ", job->name(), " builds do not fit: ", full,
                       ", and no other has room. Add a worker, ", "raise its limit, or cancel a job"));
    if (job_of_states_.contains(change.refold_begun().states_id()))
      return absl::AlreadyExistsError("the id of the refold's states is taken");
  }
  const Planning planning(this, actions);
  job->Change(std::move(change), now_us, actions);
  return absl::OkStatus();
}

absl::Status ClusterMachine::Cancel(const std::string& job, Actions* actions) {
  const JobMachine* found = FindJob(job);
  if (found == nullptr)
    return absl::NotFoundError(absl::StrCat("there is no job ", job, "; `tenfold list` shows those there are"));
  Find(found->job().job_id)->Cancel(actions);
  return absl::OkStatus();
}

void ClusterMachine::OnEnds(const QueryEnds& query, const Ends& ends, int64_t now_us, Actions* actions) {
  NotePause(now_us);
  const Planning planning(this, actions);
  if (JobMachine* job = Find(query.job_id)) job->OnEnds(query.query, ends, now_us, actions);
}

void ClusterMachine::OnPartitions(const std::string& job_id, const absl::StatusOr<FoundPartitions>& found, int64_t now_us,
                                  Actions* actions) {
  NotePause(now_us);
  const Planning planning(this, actions);
  if (JobMachine* job = Find(job_id)) job->OnPartitions(found, now_us, actions);
}

void ClusterMachine::OnSchema(const AskSchema& asked, const absl::StatusOr<LearnedSchema>& answer, int64_t now_us,
                              Actions* actions) {
  NotePause(now_us);
  const Planning planning(this, actions);
  if (JobMachine* job = Find(asked.job_id)) job->OnSchema(asked, answer, now_us, actions);
}

void ClusterMachine::OnForked(const std::string& job_id, const std::string& who, const std::string& knows, int64_t now_us,
                              Actions* actions) {
  NotePause(now_us);
  const Planning planning(this, actions);
  if (JobMachine* job = Find(job_id)) job->OnForked(who, knows, now_us, actions);
}

void ClusterMachine::OnSinks(const std::string& job_id, const SinkStatus& slowest, int64_t now_us, Actions* actions) {
  NotePause(now_us);
  const Planning planning(this, actions);
  if (JobMachine* job = Find(job_id)) job->OnSinks(slowest, now_us, actions);
}

JobMachine* ClusterMachine::Find(const std::string& job_id) {
  const auto it = jobs_.find(job_id);
  return it == jobs_.end() ? nullptr : it->second.get();
}

JobMachine* ClusterMachine::FindOfStates(const std::string& states_id) {
  const auto it = job_of_states_.find(states_id);
  JobMachine* const job = it == job_of_states_.end() ? nullptr : Find(it->second);
  return job != nullptr && job->HasStates(states_id) ? job : nullptr;
}

const JobMachine* ClusterMachine::FindJob(const std::string& job) const {
  if (const auto it = jobs_.find(job); it != jobs_.end()) return it->second.get();
  for (const auto& [id, machine] : jobs_) {
    if (machine->name() == job) return machine.get();
  }
  return nullptr;
}

const JobStatus* ClusterMachine::FindCancelled(const std::string& job) const {
  const auto it = std::find_if(cancelled_.begin(), cancelled_.end(),
                               [&](const JobStatus& status) { return status.job() == job || status.job_id() == job; });
  return it == cancelled_.end() ? nullptr : &*it;
}

ListWorkersReply ClusterMachine::Workers() const {
  ListWorkersReply reply;
  for (const auto& [id, worker] : cluster_.workers) {
    WorkerStatus* status = reply.add_workers();
    status->set_worker(id);
    status->set_address(worker.address);
    status->set_state(worker.state);
    status->set_since_us(worker.since_us);
    status->set_problem(worker.problem);
    status->set_shards(static_cast<uint32_t>(worker.shards));
    status->set_jobs(static_cast<uint32_t>(worker.jobs));
    status->set_max_jobs(static_cast<uint32_t>(worker.max_jobs));
    status->set_limit(worker.limit);
  }
  return reply;
}

}  // namespace tenfold
