#include "tests/simulation/simulated_worker.h"

#include <algorithm>
#include <iterator>

#include "glog/logging.h"
#include "worker/core/obedience.h"

namespace tenfold {

void SimulatedWorker::Start() {
  up_ = true;
  incarnation_ = (*world_->random())();
  store_.FailIf([world = world_] { return world->Fault(0.002); });
  for (const std::string& job_id : store_.JobIds()) JobAt(job_id, true);
}

void SimulatedWorker::Crash() {
  up_ = false;
  jobs_.clear();
  store_.Crash(world_->random());
}

WorkerJob* SimulatedWorker::JobAt(const std::string& job_id, bool make) {
  const auto found = jobs_.find(job_id);
  if (found != jobs_.end()) return found->second.get();
  if (!make) return nullptr;
  WorkerJob::Options options;
  options.cluster_id = SimulatedWorld::kCluster;
  options.job_id = job_id;
  options.incarnation = incarnation_;
  options.store = &store_;
  options.part_bytes = world_->part_bytes;
  options.max_kept_changes = world_->max_kept_changes;
  options.store_failed = [this](const absl::Status&) { store_failed_ = true; };
  // Some have so little memory that only a few candidates are in it, others come to their limit as keys come.
  constexpr size_t kMemory[] = {0, 0, 1, 3'000, 8'000};
  options.memory = [bytes = kMemory[incarnation_ % std::size(kMemory)]] {
    return JobMemory{.totals_bytes = bytes, .sums = {}, .preparation = {}};
  };
  options.make_fold_task = [world = world_,
                            job_id](const AssignRequest& assign) -> absl::StatusOr<std::unique_ptr<FoldTask>> {
    return std::make_unique<SimulatedFoldTask>(&world->jobs.at(SimulatedWorld::JobOfStates(job_id)).log, assign.spec(),
                                               world->random());
  };
  return (jobs_[job_id] = std::make_unique<WorkerJob>(std::move(options), store_.States(job_id))).get();
}

HeartbeatRequest SimulatedWorker::Heartbeat() const {
  HeartbeatRequest request;
  request.set_cluster_id(SimulatedWorld::kCluster);
  request.set_worker_id(id_);
  request.set_incarnation(incarnation_);
  request.set_address(id_ + ":1");
  for (const auto& [id, job] : jobs_) request.add_job_ids(id);
  return request;
}

absl::Status SimulatedWorker::Obey(uint64_t epoch) {
  absl::Status obeyed = CheckEpoch(epoch_, epoch);
  if (!obeyed.ok()) world_->Hit("step: driver of a lower epoch refused");
  epoch_ = std::max(epoch_, epoch);
  return obeyed;
}

void SimulatedWorker::OnHeartbeatReply(const HeartbeatReply& reply) {
  if (!Obey(reply.epoch()).ok()) return;
  for (const std::string& id : reply.dropped_job_ids()) {
    const auto job = jobs_.find(id);
    if (job == jobs_.end()) continue;
    world_->Hit("step: cancelled job dropped by a worker");
    CHECK(job->second->Drop().ok());
    jobs_.erase(job);
  }
}

}  // namespace tenfold
