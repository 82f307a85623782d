// A simulated worker: production worker jobs over a store and a log in memory. Its process dies at any step; its disk may be
// lost or damaged; it may be cut off from the drivers, heard but never reached, or refuse everything for a while.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/statusor.h"
#include "driver.pb.h"
#include "driver/core/action.h"
#include "tests/simulation/simulated_store.h"
#include "tests/simulation/simulated_world.h"
#include "worker/worker_job.h"

namespace tenfold {

class SimulatedWorker {
 public:
  // `crash` is called when a write failed, so that the process has to end. The world outlives the object.
  SimulatedWorker(std::string id, SimulatedWorld* world, std::function<void(SimulatedWorker*)> crash)
      : id_(std::move(id)), world_(world), crash_(std::move(crash)) {}

  const std::string& id() const { return id_; }
  bool up() const { return up_; }
  uint64_t incarnation() const { return incarnation_; }
  uint64_t epoch() const { return epoch_; }
  bool Has(const std::string& job_id) const { return jobs_.contains(job_id); }
  SimulatedStore* store() { return &store_; }
  const SimulatedStore& store() const { return store_; }

  void Start();
  // The process ends; with it goes what the store may lose.
  void Crash();

  // Answers, if the process can be reached.
  absl::StatusOr<PingReply> Visit(const PingRequest& ping) {
    if (!CanBeReached()) return absl::UnavailableError("no route");
    if (ping.incarnation() != incarnation_) return absl::FailedPreconditionError("another process");
    if (absl::Status obeyed = Obey(ping.epoch()); !obeyed.ok()) return obeyed;
    return PingReply();
  }
  // Does the request, if the process can be reached.
  template <typename Request>
  absl::StatusOr<ReplyOf<Request>> Visit(const Request& request) {
    if (!CanBeReached()) return absl::UnavailableError("no route");
    if (Refuses()) return absl::FailedPreconditionError("not now");
    if (absl::Status obeyed = Obey(request.id().epoch()); !obeyed.ok()) return obeyed;
    WorkerJob* job = JobAt(request.id().job_id(), std::is_same_v<Request, AssignRequest>);
    if (job == nullptr) return absl::FailedPreconditionError("the job is not assigned to the worker");
    absl::StatusOr<ReplyOf<Request>> reply = job->Handle(request);
    if (std::exchange(store_failed_, false)) crash_(this);
    return reply;
  }
  bool CanBeReached() const { return up_ && !uncallable && std::max(cut_until_ms, uncallable_until_ms) <= world_->now_ms(); }
  bool Refuses() const { return refuses_until_ms > world_->now_ms(); }

  HeartbeatRequest Heartbeat() const;
  // Drops the jobs that the driver no longer has.
  void OnHeartbeatReply(const HeartbeatReply& reply);

  // Never starts again.
  bool gone = false;
  // Heard, but never reached again.
  bool uncallable = false;
  // Heard, but not reached until then.
  int64_t uncallable_until_ms = 0;
  // Neither heard nor reached until then.
  int64_t cut_until_ms = 0;
  // Reached, but refuses everything until then.
  int64_t refuses_until_ms = 0;

 private:
  WorkerJob* JobAt(const std::string& job_id, bool make);
  absl::Status Obey(uint64_t epoch);

  const std::string id_;
  SimulatedWorld* const world_;
  const std::function<void(SimulatedWorker*)> crash_;
  bool up_ = false;
  uint64_t incarnation_ = 0;
  bool store_failed_ = false;
  // On its disk.
  uint64_t epoch_ = 0;
  SimulatedStore store_;
  std::map<std::string, std::unique_ptr<WorkerJob>> jobs_;
};

}  // namespace tenfold
