// What goes wrong in a simulated cluster, and how a job may end there.
#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/simulation/simulated_cluster.h"

namespace tenfold {

void SimulatedCluster::CrashWorker(Worker* worker) {
  worker->up = false;
  for (const auto& [id, job] : jobs_) {
    if (job.by_changes && worker->jobs.contains(id)) Hit("fault: worker killed while the job is merged by changes");
  }
  worker->jobs.clear();
  worker->store.Crash(&random_);
  if (Chance(0.2)) {
    Hit("fault: disk lost");
    worker->store.LoseDisk();
  } else if (Chance(0.1) && worker->store.Damage(false, [](const ShardState&) { return true; }, &random_)) {
    Hit("fault: row damaged on disk");
  } else if (!restores_ && Chance(0.1) &&
             worker->store.Damage(true, [this](const ShardState& state) { return IsWithinJournal(state); }, &random_)) {
    // Beyond the journal nothing could tell, and an older one may be restored.
    Hit("fault: row and digest damaged on disk");
  }
  const auto others = std::count_if(workers_.begin(), workers_.end(), [](const auto& other) { return !other->gone; });
  if (others > 1 && Chance(0.1)) {
    Hit("fault: worker gone for good");
    worker->gone = true;
    return;
  }
  At(static_cast<int64_t>(50 + Draw(8000)), [this, worker] { StartWorker(worker); });
}

bool SimulatedCluster::IsWithinJournal(const ShardState& state) const {
  const BatchCommitted& last = jobs_.at(state.id().job_id()).last;
  for (const PartitionState& partition : state.partitions()) {
    const int index = static_cast<int>(partition.partition());
    if (index >= last.next_offsets_size() || partition.next_offset() > last.next_offsets(index)) return false;
  }
  return true;
}

void SimulatedCluster::Fault() {
  if (!faults_) return;
  At(static_cast<int64_t>(200 + Draw(4000)), [this] { Fault(); });
  if (Chance(0.12)) return RareFault();
  Worker* worker = workers_[Draw(workers_.size())].get();
  switch (Draw(8)) {
    case 0:
    case 1:
      if (!worker->up) return;
      Hit("fault: worker killed");
      return CrashWorker(worker);
    case 2:
      Hit("fault: worker cut off");
      worker->cut_until_ms = now_ms_ + static_cast<int64_t>(Draw(8000));
      return;
    case 3:
      if (machine_ != nullptr) CrashDriver();
      return;
    case 4: {
      Job& job = AnyJob();
      if (job.partitions.empty() || job.log.partitions.size() > 70) return;
      Hit("fault: partitions grow");
      job.log.partitions.resize(job.log.partitions.size() + 1 + Draw(3));
      return;
    }
    case 5:
      if (workers_.size() >= 5) return;
      Hit("fault: worker joins");
      workers_.push_back(std::make_unique<Worker>());
      workers_.back()->id = absl::StrCat("w", workers_.size());
      return StartWorker(workers_.back().get());
    default:
      for (auto& [id, job] : jobs_) AddRecords(&job, Draw(200));
  }
}

SimulatedCluster::Job& SimulatedCluster::AnyJob() {
  auto job = jobs_.begin();
  std::advance(job, static_cast<std::ptrdiff_t>(Draw(jobs_.size())));
  return job->second;
}

void SimulatedCluster::RareFault() {
  Job& job = AnyJob();
  Worker* worker = workers_[Draw(workers_.size())].get();
  switch (Draw(6)) {
    case 0:
      return PauseDriver();
    case 1:
      Hit("fault: sink stalls");
      job.sink_stalled_until_ms = now_ms_ + static_cast<int64_t>(Draw(20'000));
      return;
    case 2:
      Hit("fault: worker refuses everything at once");
      worker->refuses_until_ms = now_ms_ + static_cast<int64_t>(Draw(5000));
      return;
    case 3:
      if (Chance(0.5)) LoseOffsets(&job);
      return;
    case 4:
      if (Chance(0.3)) Truncate(&job);
      if (!Chance(0.1)) return;
      Hit("fault: worker heard and never reached again");
      worker->uncallable = true;
      return;
    default:
      if (!Chance(0.3)) return;
      Hit("fault: job cancelled");
      return CancelJob(job.submitted.job_id());
  }
}

void SimulatedCluster::PauseDriver() {
  if (machine_ == nullptr || paused_until_ms_ > now_ms_) return;
  Hit("fault: driver stands still");
  paused_until_ms_ = now_ms_ + static_cast<int64_t>(Draw(15'000));
  heard_before_pause_.clear();
  for (const auto& [id, worker] : machine_->view().workers) {
    if (worker.live && worker.last_heard_us > NowUs() - 1'000'000) heard_before_pause_.push_back(id);
  }
}

void SimulatedCluster::LoseOffsets(Job* job) {
  if (job->last.next_offsets_size() == 0) return;
  const size_t p = Draw(static_cast<size_t>(job->last.next_offsets_size()));
  // Those that are folded already, or more.
  const int64_t folded = job->last.next_offsets(static_cast<int>(p));
  const int64_t left = job->log.End(p) - folded;
  Hit(left > 0 ? "fault: offsets lost" : "fault: log's start lost");
  job->log.begins[p] =
      std::max(job->log.Begin(p), folded + (left > 0 ? 1 + static_cast<int64_t>(Draw(static_cast<uint64_t>(left))) : 0));
  job->may_fail.push_back(absl::StrCat("events[", p, "] no longer has offset"));
  job->may_fail.push_back("the log's start is gone");
}

void SimulatedCluster::Truncate(Job* job) {
  if (job->last.next_offsets_size() == 0) return;
  const size_t p = Draw(static_cast<size_t>(job->last.next_offsets_size()));
  const int64_t folded = job->last.next_offsets(static_cast<int>(p));
  if (folded == 0 || job->log.truncated.contains(p)) return;
  Hit("fault: log truncated");
  job->log.truncated[p] = static_cast<int64_t>(Draw(static_cast<uint64_t>(folded)));
  job->may_fail.push_back(absl::StrCat("events[", p, "] ends at ", job->log.truncated[p], ", below offset"));
}

void SimulatedCluster::CancelJob(const std::string& id) {
  AtDriver(0, [this, id](Actions* actions) {
    if (machine_->FindJob(id) == nullptr) return;
    if (machine_->FindJob(id)->state() == JOB_FAILED) Hit("step: failed job cancelled");
    machine_->Cancel(id, actions).IgnoreError();
  });
}

void SimulatedCluster::EndJob(Job* job, const std::string& reason) {
  const bool expected = std::any_of(job->may_fail.begin(), job->may_fail.end(),
                                    [&](const std::string& may) { return absl::StrContains(reason, may); });
  if (!expected) wrong_ = absl::StrCat("job ", job->submitted.job_id(), " failed: ", reason);
  if (job->failed || job->cancelled) wrong_ = "a job ends twice";
  Hit("step: job failed and named the place");
  job->failed = true;
  if (Chance(0.5)) At(static_cast<int64_t>(Draw(5000)), [this, id = job->submitted.job_id()] { CancelJob(id); });
}

void SimulatedCluster::OnCancelled(Job* job) {
  if (job->cancelled) wrong_ = "a job is cancelled twice";
  job->cancelled = true;
  if (!faults_ || Chance(0.5)) return;
  Hit("step: name of a cancelled job taken again");
  const std::string id = job->submitted.job_id() + "x";
  Job& next = jobs_[id];
  next.submitted = job->submitted;
  next.submitted.set_job_id(id);
  next.log.partitions = job->log.partitions;
  if (next.submitted.spec().on_bad_record() == BAD_RECORD_FAIL) next.may_fail.push_back(": the record is bad");
  AtDriver(static_cast<int64_t>(Draw(100)),
           [this, id](Actions* actions) { machine_->Submit(jobs_.at(id).submitted, actions).IgnoreError(); });
}

bool SimulatedCluster::WaitsForUncallableWorker(const std::string& id) const {
  const JobMachine* machine = machine_ == nullptr ? nullptr : machine_->FindJob(id);
  if (machine == nullptr) return false;
  const Waiting& waiting = machine->waiting();
  // An owner that does not answer, or a next owner that does not fold.
  const std::string& named = waiting.kind() == WAITING_WORKER ? waiting.worker() : waiting.refold().worker();
  return std::any_of(workers_.begin(), workers_.end(),
                     [&](const auto& worker) { return worker->uncallable && worker->up && worker->id == named; });
}

bool SimulatedCluster::WaitsForGoneWorker(const std::string& id, const Job& job) const {
  const JobMachine* machine = machine_ == nullptr ? nullptr : machine_->FindJob(id);
  if (machine == nullptr || job.log.begins.empty()) return false;
  if (machine->waiting().kind() != WAITING_ONLY_OWNER) return false;
  return std::any_of(workers_.begin(), workers_.end(), [&](const auto& worker) {
    return worker->gone && std::any_of(machine->job().assignment.begin(), machine->job().assignment.end(),
                                       [&](const ShardAssignment& shard) { return shard.owner() == worker->id; });
  });
}

}  // namespace tenfold
