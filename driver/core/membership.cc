#include "driver/core/membership.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"

namespace tenfold {
namespace {

// How many former processes of a worker are remembered, to know them again.
constexpr size_t kFormer = 16;

constexpr int64_t kPingsPerLease = 2;

// How long a lost worker that has no place in a job is remembered, so that somebody who looks for it finds it.
constexpr int64_t kForgetAfterUs = int64_t{15} * 60 * 1'000'000;

// When the worker is forgotten.
int64_t ForgetUs(const WorkerInfo& worker) {
  const bool has_place = worker.shards > 0 || worker.jobs > 0;
  return worker.state != WORKER_LOST || has_place ? std::numeric_limits<int64_t>::max() : worker.since_us + kForgetAfterUs;
}

}  // namespace

WorkerInfo* Membership::FindProcess(const std::string& worker, uint64_t incarnation) {
  const auto it = cluster_->workers.find(worker);
  return it == cluster_->workers.end() || it->second.incarnation != incarnation ? nullptr : &it->second;
}

int64_t Membership::PingAfterUs() const { return cluster_->LeaseUs() / kPingsPerLease; }

int64_t Membership::PingDueUs(const WorkerInfo& worker) const {
  return std::max(worker.ping_at_us, worker.answered_us == 0 ? 0 : worker.answered_us + PingAfterUs());
}

void Membership::SetState(WorkerInfo* worker, WorkerState state, int64_t now_us) {
  if (worker->state == state) return;
  worker->state = state;
  worker->since_us = now_us;
}

absl::StatusOr<bool> Membership::OnHeartbeat(const HeartbeatRequest& request, int64_t now_us) {
  WorkerInfo& worker = cluster_->workers[request.worker_id()];
  if (std::ranges::find(worker.former, request.incarnation()) != worker.former.end()) {
    worker.notice =
        absl::StrCat("another process had the worker id ", request.worker_id(), ", at ", request.address(),
                     ", and was told to end: its data directory is a copy of this one's, or the other way round");
    LOG(WARNING) << "two processes have the worker id " << request.worker_id() << ": the one at " << request.address()
                 << " is told to end, the younger one at " << worker.address << " goes on";
    return absl::AbortedError(absl::StrCat("a younger process has the worker id ", request.worker_id(), ", at ",
                                           worker.address, ": one data directory is a copy of the other"));
  }
  const bool is_new = worker.incarnation != request.incarnation() || worker.address != request.address();
  if (worker.incarnation != 0 && worker.incarnation != request.incarnation()) {
    worker.former.push_back(worker.incarnation);
    if (worker.former.size() > kFormer) worker.former.pop_front();
  }
  const bool is_back = worker.state == WORKER_LOST;
  if (is_new || is_back) {
    LOG(INFO) << "worker " << request.worker_id() << " at " << request.address() << " is there";
    // A worker whose processes end before they answer is not waited for longer than one that does not answer.
    if (worker.state != WORKER_JOINING || worker.failing_since_us == 0) worker.failing_since_us = now_us;
    worker.answered_us = 0;
    worker.problem = "has not answered a call yet";
    worker.pinged = false;
    worker.ping_at_us = 0;
    SetState(&worker, WORKER_JOINING, now_us);
  }
  worker.address = request.address();
  worker.incarnation = request.incarnation();
  worker.last_heard_us = now_us;
  worker.job_ids = {request.job_ids().begin(), request.job_ids().end()};
  worker.max_jobs = request.max_jobs();
  worker.limit = request.limit();
  return is_new || is_back;
}

std::string Membership::TakeNotice(const std::string& worker) {
  const auto it = cluster_->workers.find(worker);
  return it == cluster_->workers.end() ? "" : std::exchange(it->second.notice, "");
}

void Membership::OnAnswer(const std::string& id, uint64_t incarnation, int64_t now_us) {
  WorkerInfo* const worker = FindProcess(id, incarnation);
  if (worker == nullptr) return;
  worker->answered_us = now_us;
  worker->failing_since_us = 0;
  worker->problem.clear();
}

void Membership::OnPingEnded(const PingRequest& ping, const absl::Status& status, int64_t now_us) {
  WorkerInfo* const worker = FindProcess(ping.worker_id(), ping.incarnation());
  if (worker == nullptr) return;
  worker->pinged = false;
  if (worker->state == WORKER_LOST) return;
  if (status.ok()) return OnAnswer(ping.worker_id(), ping.incarnation(), now_us);
  if (worker->answered_us > worker->pinged_us) return;
  if (worker->failing_since_us == 0) worker->failing_since_us = worker->pinged_us;
  worker->problem =
      absl::StrCat(absl::IsUnavailable(status) ? "does not answer calls: " : "cannot be used: ", status.message());
}

void Membership::OnPaused(int64_t paused_us, int64_t now_us) {
  for (auto& [id, worker] : cluster_->workers) {
    worker.last_heard_us = std::min(now_us, worker.last_heard_us + paused_us);
    if (worker.failing_since_us != 0) worker.failing_since_us = std::min(now_us, worker.failing_since_us + paused_us);
    worker.pinged_us = std::min(now_us, worker.pinged_us + paused_us);
  }
}

bool Membership::Check(int64_t now_us) {
  bool changed = false;
  for (auto& [id, worker] : cluster_->workers) {
    const WorkerState before = worker.state;
    const bool fails = worker.failing_since_us != 0 && now_us - worker.failing_since_us >= cluster_->LeaseUs();
    if (now_us - worker.last_heard_us >= cluster_->LeaseUs()) {
      SetState(&worker, WORKER_LOST, now_us);
    } else if (fails) {
      SetState(&worker, WORKER_UNREACHABLE, now_us);
    } else if (worker.failing_since_us == 0 && worker.answered_us != 0) {
      SetState(&worker, WORKER_LIVE, now_us);
    }
    if (worker.state == before) continue;
    changed = true;
    if (worker.state == WORKER_LOST) {
      LOG(WARNING) << "worker " << id << " at " << worker.address << " is lost: nothing heard for "
                   << (now_us - worker.last_heard_us) / 1000 << " ms";
      worker.problem.clear();
    } else if (worker.state == WORKER_UNREACHABLE) {
      LOG(WARNING) << "worker " << id << " at " << worker.address
                   << " is unreachable, and has no shards until it answers: it " << worker.problem;
    } else if (before == WORKER_UNREACHABLE) {
      LOG(INFO) << "worker " << id << " at " << worker.address << " answers again";
    }
  }
  std::erase_if(cluster_->workers, [&](const auto& entry) { return now_us >= ForgetUs(entry.second); });
  return changed;
}

std::vector<Send<PingRequest>> Membership::Pings(int64_t now_us) {
  std::vector<Send<PingRequest>> pings;
  for (auto& [id, worker] : cluster_->workers) {
    if (worker.state == WORKER_LOST || worker.pinged || now_us < PingDueUs(worker)) continue;
    worker.pinged = true;
    worker.pinged_us = now_us;
    // One that refuses at once is not asked thousands of times a second.
    worker.ping_at_us = now_us + PingAfterUs() / 4;
    PingRequest ping;
    ping.set_cluster_id(cluster_->cluster_id);
    ping.set_epoch(cluster_->epoch);
    ping.set_worker_id(id);
    ping.set_incarnation(worker.incarnation);
    ping.set_within_ms(static_cast<uint32_t>(std::max<int64_t>(1, PingAfterUs() / 1000)));
    pings.push_back({id, std::move(ping)});
  }
  return pings;
}

int64_t Membership::NextTimeUs() const {
  int64_t next = std::numeric_limits<int64_t>::max();
  for (const auto& [id, worker] : cluster_->workers) {
    next = std::min(next, ForgetUs(worker));
    if (worker.state == WORKER_LOST) continue;
    next = std::min(next, worker.last_heard_us + cluster_->LeaseUs());
    if (worker.failing_since_us != 0 && worker.state != WORKER_UNREACHABLE)
      next = std::min(next, worker.failing_since_us + cluster_->LeaseUs());
    if (!worker.pinged) next = std::min(next, PingDueUs(worker));
  }
  return next;
}

}  // namespace tenfold
