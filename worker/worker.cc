#include "worker/worker.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/process/process.h"
#include "common/process/random_id.h"
#include "glog/logging.h"
#include "worker/fold/kafka_fold_task.h"

namespace tenfold {
namespace {

// The lease that is assumed until the driver has named its own.
constexpr uint32_t kFirstLeaseMs = 3000;
// How many heartbeats are sent within a lease, so that several may be lost.
constexpr uint32_t kBeatsPerLease = 6;

// Records that come a tenth of an interval late do not make a batch late. Where that is little, an idle topic would be asked
// for more often than it saves, and they come at once.
absl::Duration PatienceOf(uint32_t interval_ms) {
  constexpr uint32_t kLeastMs = 10, kMostMs = 20;
  const uint32_t patience_ms = std::min(interval_ms / 10, kMostMs);
  return absl::Milliseconds(patience_ms < kLeastMs ? 0 : patience_ms);
}

}  // namespace

Worker::Worker(Options options) : options_(std::move(options)), incarnation_(RandomNumber()) {}

absl::StatusOr<std::unique_ptr<Worker>> Worker::Open(Options options) {
  std::unique_ptr<Worker> worker(new Worker(std::move(options)));
  absl::StatusOr<Identity> identity = ReadOrMakeIdentity(worker->options_.data_dir);
  if (!identity.ok()) return identity.status();
  MutexLock lock(&worker->mutex_);
  worker->identity_ = *std::move(identity);
  if (absl::Status opened = worker->OpenStore(); !opened.ok()) return opened;
  if (absl::Status opened = worker->disk_.Open(worker->options_.data_dir); !opened.ok()) return opened;

  std::map<std::string, std::vector<ShardState>> found;
  std::vector<ShardKey> unreadable;
  for (const ShardKey& shard : worker->store_->Shards()) {
    absl::StatusOr<ShardState> state = worker->store_->Read(shard);
    if (state.ok()) {
      found[shard.first].push_back(*std::move(state));
    } else {
      LOG(ERROR) << "shard " << shard.second << " of job " << shard.first
                 << " is dropped and folded again: " << state.status().message();
      unreadable.push_back(shard);
    }
  }
  if (absl::Status dropped = worker->store_->Drop(unreadable); !dropped.ok()) return dropped;
  for (const auto& [job_id, states] : found) worker->jobs_[job_id] = worker->MakeJob(job_id, states);
  worker->job_count_ = worker->jobs_.size();
  return worker;
}

absl::Status Worker::OpenStore() {
  StateStore::Options store_options;
  store_options.memory_bytes = options_.memory.StoreBytes();
  absl::StatusOr<std::unique_ptr<StateStore>> store = StateStore::Open(options_.data_dir, store_options);
  if (absl::IsDataLoss(store.status())) {
    const std::string aside = absl::StrCat(options_.data_dir, "/state.damaged-",
                                           absl::FormatTime("%Y%m%dT%H%M%S", absl::Now(), absl::UTCTimeZone()));
    LOG(ERROR) << store.status().message() << "; it is set aside as " << aside
               << ", and its shards are folded again from the log";
    std::error_code error;
    std::filesystem::rename(absl::StrCat(options_.data_dir, "/state"), aside, error);
    if (error)
      return absl::DataLossError(absl::StrCat(store.status().message(), "; it cannot be set aside: ", error.message()));
    store = StateStore::Open(options_.data_dir, store_options);
  }
  if (!store.ok()) return store.status();
  store_ = *std::move(store);
  return absl::OkStatus();
}

Worker::~Worker() {
  Stop();
  if (store_ == nullptr) return;
  if (absl::Status flushed = store_->Flush(); !flushed.ok())
    LOG(ERROR) << "what is not in the WAL is lost and folded again: " << flushed.message();
}

void Worker::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    for (const auto& [id, job] : jobs_) job->Stop();
  }
  heartbeat_ = {};
  dropper_ = {};
}

std::shared_ptr<WorkerJob> Worker::MakeJob(const std::string& job_id, const std::vector<ShardState>& found) {
  WorkerJob::Options options;
  options.cluster_id = identity_.cluster_id;
  options.job_id = job_id;
  options.incarnation = incarnation_;
  options.store = store_.get();
  options.memory = [this] { return options_.memory.OfOneOf(std::max<size_t>(1, job_count_)); };
  options.store_failed = [data_dir = options_.data_dir](const absl::Status& status) {
    LOG(ERROR) << "the worker ends, since its state in " << data_dir << " cannot be written: " << status.message()
               << "; mend that and start it again";
    google::FlushLogFiles(google::INFO);
    _exit(kExitRefused);
  };
  options.make_fold_task = [this](const AssignRequest& assign) -> absl::StatusOr<std::unique_ptr<FoldTask>> {
    LogConfig log;
    log.brokers = assign.brokers();
    log.properties = {assign.spec().source().properties().begin(), assign.spec().source().properties().end()};
    log.patience = PatienceOf(assign.spec().batch_interval_ms());
    absl::StatusOr<std::unique_ptr<KafkaFoldTask>> task = KafkaFoldTask::Create(assign.spec(), log, options_.threads);
    if (!task.ok()) return task.status();
    return *std::move(task);
  };
  return std::make_shared<WorkerJob>(std::move(options), found);
}

void Worker::StartHeartbeat(std::function<void(const absl::Status&)> refused) {
  heartbeat_ =
      std::jthread([this, refused = std::move(refused)](const std::stop_token& stop) { RunHeartbeat(stop, refused); });
}

void Worker::RunHeartbeat(const std::stop_token& stop, const std::function<void(const absl::Status&)>& refused) {
  DriverClient driver(options_.driver);
  uint32_t lease_ms = kFirstLeaseMs;
  bool reached = true;
  while (!stop.stop_requested()) {
    const absl::Status beat = Beat(&driver, &lease_ms, stop);
    if (stop.stop_requested()) return;
    if (absl::IsPermissionDenied(beat) || absl::IsAborted(beat)) return refused(beat);
    if (beat.ok() != reached) {
      reached = beat.ok();
      if (reached) {
        LOG(INFO) << "the driver at " << options_.driver << " is there";
      } else {
        LOG(WARNING) << "waiting for the driver at " << options_.driver << ": " << beat.message();
      }
    }
    MutexLock lock(&mutex_);
    stopped_.Sleep(&mutex_, stop, std::chrono::milliseconds(lease_ms / kBeatsPerLease));
  }
}

absl::Status Worker::Beat(DriverClient* driver, uint32_t* lease_ms, const std::stop_token& stop) {
  HeartbeatRequest request;
  request.set_incarnation(incarnation_);
  request.set_address(options_.advertise);
  {
    MutexLock lock(&mutex_);
    request.set_cluster_id(identity_.cluster_id);
    request.set_worker_id(identity_.worker_id);
    for (const auto& [id, job] : jobs_) request.add_job_ids(id);
  }
  const absl::StatusOr<HeartbeatReply> reply = driver->Heartbeat(request, absl::Milliseconds(*lease_ms / 2), stop);
  if (!reply.ok()) return reply.status();
  *lease_ms = std::max<uint32_t>(reply->lease_ms(), kBeatsPerLease);
  if (!reply->notice().empty()) LOG(WARNING) << "the driver says: " << reply->notice();
  {
    MutexLock lock(&mutex_);
    if (identity_.cluster_id.empty()) {
      Identity joined = identity_;
      joined.cluster_id = reply->cluster_id();
      // Requests are refused until the identity is durable; the next heartbeat retries.
      if (absl::Status written = WriteIdentity(options_.data_dir, joined); !written.ok()) return written;
      identity_ = joined;
      LOG(INFO) << "worker " << identity_.worker_id << " joined cluster " << identity_.cluster_id;
    }
  }
  // A job is dropped on another thread, as that waits for running requests. Jobs not dropped by then are named again.
  if (!reply->dropped_job_ids().empty() && !dropping_.exchange(true)) {
    dropper_ = std::jthread([this, job_ids = reply->dropped_job_ids()] {
      for (const std::string& job_id : job_ids) DropJob(job_id);
      dropping_ = false;
    });
  }
  return absl::OkStatus();
}

void Worker::DropJob(const std::string& job_id) {
  std::shared_ptr<WorkerJob> job;
  {
    MutexLock lock(&mutex_);
    const auto it = jobs_.find(job_id);
    if (it == jobs_.end()) return;
    job = it->second;
    jobs_.erase(it);
    job_count_ = jobs_.size();
  }
  if (absl::Status dropped = job->Drop(); !dropped.ok()) {
    LOG(ERROR) << "states of job " << job_id << ", which is over, stay on disk until the next start: " << dropped.message();
  }
}

absl::StatusOr<PingReply> Worker::Ping(const PingRequest& request) {
  {
    MutexLock lock(&mutex_);
    if (stopping_) return absl::UnavailableError("the worker is stopping");
    if (request.worker_id() != identity_.worker_id) {
      return absl::FailedPreconditionError(absl::StrCat(options_.advertise, " is the address of worker ",
                                                        identity_.worker_id, "; --advertise names the wrong one"));
    }
  }
  if (request.incarnation() != incarnation_) return absl::FailedPreconditionError("another process of it answers there");
  if (absl::Status writes = disk_.Check(); !writes.ok()) return writes;
  return PingReply();
}

absl::StatusOr<std::shared_ptr<WorkerJob>> Worker::FindJob(const RequestId& id) {
  MutexLock lock(&mutex_);
  if (stopping_) return absl::UnavailableError("the worker is stopping");
  const auto it = jobs_.find(id.job_id());
  if (it == jobs_.end()) return absl::FailedPreconditionError("the job is not assigned to the worker");
  return it->second;
}

absl::StatusOr<std::shared_ptr<WorkerJob>> Worker::JobFor(const AssignRequest& request) {
  MutexLock lock(&mutex_);
  if (stopping_ || identity_.cluster_id.empty()) return absl::UnavailableError("the worker is starting or stopping");
  if (request.id().cluster_id() != identity_.cluster_id) {
    return absl::PermissionDeniedError(absl::StrCat("this worker belongs to cluster ", identity_.cluster_id));
  }
  std::shared_ptr<WorkerJob>& job = jobs_[request.id().job_id()];
  if (job == nullptr) job = MakeJob(request.id().job_id(), {});
  job_count_ = jobs_.size();
  return job;
}

}  // namespace tenfold
