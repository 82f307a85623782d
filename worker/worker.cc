#include "worker/worker.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/files/durable_file.h"
#include "common/process/process.h"
#include "common/process/random_id.h"
#include "common/process/system_limits.h"
#include "glog/logging.h"
#include "worker/core/obedience.h"
#include "worker/fold/kafka_fold_task.h"

namespace tenfold {
namespace {

// The lease that is assumed until the driver has named its own.
constexpr uint32_t kFirstLeaseMs = 3000;
// How many heartbeats are sent within a lease, so that several may be lost.
constexpr uint32_t kBeatsPerLease = 6;
// How often, and after which pause, a heartbeat that failed is tried again at once: a driver that starts together with its
// workers, or again, is there in a moment. A call is nothing but a look while gRPC does not try to connect.
constexpr uint32_t kRetries = 40;
constexpr uint32_t kRetryMs = 25;

// Records that come a tenth of an interval late do not make a batch late. Where that is little, an idle topic would be asked
// for more often than it saves, and they come at once.
absl::Duration PatienceOf(uint32_t interval_ms) {
  constexpr uint32_t kLeastMs = 10, kMostMs = 20;
  const uint32_t patience_ms = std::min(interval_ms / 10, kMostMs);
  return absl::Milliseconds(patience_ms < kLeastMs ? 0 : patience_ms);
}

// An error of our own disk, which must not be taken for what a driver says.
absl::Status Unwritten(const absl::Status& error) {
  return absl::UnavailableError(absl::StrCat("its identity cannot be written: ", error.message()));
}

}  // namespace

Worker::Worker(Options options)
    : options_(std::move(options)),
      incarnation_(RandomNumber()),
      capacity_(CapacityOf(OpenFilesLimit(), ThreadsLimit(), options_.memory)),
      readers_(capacity_.extra_readers),
      disk_({.fail = [](const std::string& sentence) { EndWith("worker", sentence); }, .is_ending = IsEnding, .files = {}}),
      ballast_(options_.data_dir + "/ballast") {}

absl::StatusOr<std::unique_ptr<Worker>> Worker::Create(Options options) {
  std::unique_ptr<Worker> worker(new Worker(std::move(options)));
  const std::string& data_dir = worker->options_.data_dir;
  if (absl::Status made = MakePrivateDirectory(data_dir); !made.ok()) return made;
  if (absl::Status locked = worker->lock_.Acquire(data_dir); !locked.ok()) return locked;
  std::error_code error;
  if (std::filesystem::exists(absl::StrCat(data_dir, "/journal"), error))
    return absl::InvalidArgumentError(absl::StrCat(data_dir, " is the data directory of a driver; use another --data-dir"));
  absl::StatusOr<Identity> identity = ReadOrMakeIdentity(data_dir);
  if (!identity.ok()) return identity.status();
  MutexLock lock(&worker->mutex_);
  worker->identity_ = *std::move(identity);
  return worker;
}

absl::Status Worker::OpenStates() {
  if (absl::Status opened = probe_.Open(options_.data_dir); !opened.ok()) return opened;
  absl::StatusOr<std::unique_ptr<StateStore>> store = OpenStore();
  if (!store.ok()) return store.status();
  std::map<std::string, std::vector<ShardState>> found;
  std::vector<ShardKey> unreadable;
  for (const ShardKey& shard : (*store)->Shards()) {
    absl::StatusOr<ShardState> state = (*store)->Read(shard);
    if (state.ok()) {
      found[shard.first].push_back(*std::move(state));
    } else {
      LOG(ERROR) << "shard " << shard.second << " of job " << shard.first
                 << " is dropped and folded again: " << state.status().message();
      unreadable.push_back(shard);
    }
  }
  if (absl::Status dropped = (*store)->Drop(unreadable); !dropped.ok()) return dropped;
  MutexLock lock(&mutex_);
  store_ = *std::move(store);
  for (const auto& [job_id, states] : found) jobs_[job_id] = MakeJob(job_id, states);
  job_count_ = jobs_.size();
  is_open_ = true;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<StateStore>> Worker::OpenStore() {
  StateStore::Options store_options;
  store_options.env = disk_.env();
  store_options.memory_bytes = options_.memory.StoreBytes();
  absl::StatusOr<std::unique_ptr<StateStore>> store = StateStore::Open(options_.data_dir, store_options);
  if (!absl::IsDataLoss(store.status())) return store;
  const std::string aside = absl::StrCat(options_.data_dir, "/state.damaged-",
                                         absl::FormatTime("%Y%m%dT%H%M%S", absl::Now(), absl::UTCTimeZone()));
  LOG(ERROR) << store.status().message() << "; it is set aside as " << aside
             << ", and its shards are folded again from the log";
  std::error_code error;
  std::filesystem::rename(absl::StrCat(options_.data_dir, "/state"), aside, error);
  if (error)
    return absl::DataLossError(absl::StrCat(store.status().message(), "; it cannot be set aside: ", error.message()));
  return StateStore::Open(options_.data_dir, store_options);
}

absl::Status Worker::CheckOpen() const {
  if (stopping_) return absl::UnavailableError("the worker is stopping");
  if (is_open_ && ballast_.given_up()) {
    return absl::FailedPreconditionError(
        absl::StrCat("waits for room on the disk: ", ballast_.path(), " has to be made again. Cancel a job, or make room"));
  }
  return is_open_ ? absl::OkStatus() : absl::UnavailableError("the worker is opening its states");
}

Worker::~Worker() { Close(); }

void Worker::Close() {
  Stop();
  StateStore* store = nullptr;
  {
    MutexLock lock(&mutex_);
    if (is_open_) store = store_.get();
  }
  if (store == nullptr || !probe_.Check().ok()) return;
  MutexLock no_drop(&drop_mutex_);
  if (absl::Status flushed = store->Flush(); !flushed.ok())
    LOG(ERROR) << "what is not in the WAL is lost and folded again: " << flushed.message();
}

void Worker::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    for (const auto& [id, job] : jobs_) job->Stop();
  }
  heartbeat_ = {};
  upkeep_.request_stop();
}

absl::Status Worker::Obey(const std::string& cluster_id, uint64_t epoch) {
  if (identity_.cluster_id.empty()) return absl::UnavailableError("the worker has yet to join");
  if (cluster_id != identity_.cluster_id)
    return absl::PermissionDeniedError(absl::StrCat("this worker belongs to cluster ", identity_.cluster_id));
  if (absl::Status obeyed = CheckEpoch(identity_.epoch, epoch); !obeyed.ok()) return obeyed;
  if (epoch == identity_.epoch) return absl::OkStatus();
  Identity identity = identity_;
  identity.epoch = epoch;
  if (absl::Status written = WriteIdentity(options_.data_dir, identity); !written.ok()) return Unwritten(written);
  identity_ = identity;
  return absl::OkStatus();
}

std::shared_ptr<WorkerJob> Worker::MakeJob(const std::string& job_id, const std::vector<ShardState>& found) {
  WorkerJob::Options options;
  options.cluster_id = identity_.cluster_id;
  options.job_id = job_id;
  options.incarnation = incarnation_;
  options.store = store_.get();
  options.memory = [this] { return options_.memory.OfOneOf(std::max<size_t>(1, job_count_)); };
  options.store_failed = [data_dir = options_.data_dir](const absl::Status& status) {
    EndWith("worker", absl::StrCat("its state in ", data_dir, " cannot be written: ", status.message(),
                                   "; mend that and start it again"));
  };
  options.make_fold_task = [this](const AssignRequest& assign) -> absl::StatusOr<std::unique_ptr<FoldTask>> {
    LogConfig log;
    log.brokers = assign.brokers();
    log.properties = {assign.spec().source().properties().begin(), assign.spec().source().properties().end()};
    log.property_dirs = options_.property_dirs;
    log.reader = options_.reader;
    log.patience = PatienceOf(assign.spec().batch_interval_ms());
    absl::StatusOr<std::unique_ptr<KafkaFoldTask>> task =
        KafkaFoldTask::Create(assign.spec(), log, options_.threads, &readers_);
    if (!task.ok()) return task.status();
    return *std::move(task);
  };
  return std::make_shared<WorkerJob>(std::move(options), found);
}

void Worker::StartHeartbeat(std::function<void(const absl::Status&)> refused) {
  heartbeat_ =
      std::jthread([this, refused = std::move(refused)](const std::stop_token& stop) { RunHeartbeat(stop, refused); });
  upkeep_ = std::jthread([this](const std::stop_token& stop) { RunUpkeep(stop); });
}

absl::Status Worker::CheckDirectory() {
  MutexLock lock(&mutex_);
  return is_open_ ? lock_.Check("state/CURRENT") : absl::OkStatus();
}

void Worker::RunHeartbeat(const std::stop_token& stop, const std::function<void(const absl::Status&)>& refused) {
  DriverClient driver(options_.driver);
  uint32_t lease_ms = kFirstLeaseMs;
  uint32_t failed = 0;
  bool reached = true;
  while (!stop.stop_requested()) {
    if (const absl::Status there = CheckDirectory(); !there.ok()) EndWith("worker", std::string(there.message()));
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
    failed = beat.ok() ? 0 : failed + 1;
    uint32_t pause_ms = lease_ms / kBeatsPerLease;
    if (failed > 0 && failed <= kRetries) pause_ms = std::min(pause_ms, kRetryMs);
    MutexLock lock(&mutex_);
    stopped_.Sleep(&mutex_, stop, std::chrono::milliseconds(pause_ms));
  }
}

void Worker::KeepBallast() {
  constexpr absl::Duration kOpenWithin = absl::Seconds(2);
  const std::optional<RocksDisk::Wait> wait = disk_.Waiting();
  if (wait) {
    {
      MutexLock lock(&mutex_);
      // A drop waits for folds that began to wait after it.
      const bool needed = is_open_ ? dropping_.load() : absl::Now() - wait->since >= kOpenWithin;
      if (!needed) return;
    }
    return ballast_.GiveUp();
  }
  if (!drop_takes_room_.load()) ballast_.Keep();
}

void Worker::LookAfterJobs(size_t* shared_by) {
  std::vector<std::shared_ptr<WorkerJob>> jobs;
  {
    MutexLock lock(&mutex_);
    for (const auto& [id, job] : jobs_) jobs.push_back(job);
  }
  for (const std::shared_ptr<WorkerJob>& job : jobs) job->Rest();
  if (options_.memory.bytes == 0 || jobs.size() <= *shared_by) {
    *shared_by = std::min(*shared_by, jobs.size());
    return;
  }
  bool all = true;
  for (const std::shared_ptr<WorkerJob>& job : jobs) all &= job->KeepToShare();
  if (all) *shared_by = jobs.size();
}

void Worker::RunUpkeep(const std::stop_token& stop) {
  constexpr std::chrono::milliseconds kPause(500);
  size_t shared_by = 1;
  while (!stop.stop_requested()) {
    KeepBallast();
    LookAfterJobs(&shared_by);
    MutexLock lock(&mutex_);
    stopped_.Sleep(&mutex_, stop, kPause);
  }
}

absl::Status Worker::Beat(DriverClient* driver, uint32_t* lease_ms, const std::stop_token& stop) {
  HeartbeatRequest request;
  request.set_incarnation(incarnation_);
  request.set_address(options_.advertise);
  request.set_max_jobs(capacity_.max_jobs);
  request.set_limit(capacity_.limit);
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
      if (absl::Status written = WriteIdentity(options_.data_dir, joined); !written.ok()) return Unwritten(written);
      identity_ = joined;
      LOG(INFO) << "worker " << identity_.worker_id << " joined cluster " << identity_.cluster_id;
    }
    if (absl::Status obeyed = Obey(reply->cluster_id(), reply->epoch()); !obeyed.ok()) return obeyed;
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
  MutexLock dropping(&drop_mutex_);
  {
    MutexLock lock(&mutex_);
    const auto it = jobs_.find(job_id);
    if (stopping_ || it == jobs_.end()) return;
    job = it->second;
    jobs_.erase(it);
    job_count_ = jobs_.size();
  }
  // The drop waits for a fold that waits for room.
  drop_takes_room_ = true;
  if (disk_.Waiting()) ballast_.GiveUp();
  if (absl::Status dropped = job->Drop(); !dropped.ok()) {
    LOG(ERROR) << "states of job " << job_id << ", which is over, stay on disk until the next start: " << dropped.message();
  }
  drop_takes_room_ = false;
  // Before another job takes the room, and again once what was dropped is no longer in the log.
  ballast_.Keep();
  if (ballast_.has_room()) return;
  const auto is_ending = [this] {
    MutexLock lock(&mutex_);
    return stopping_;
  };
  if (absl::Status emptied = store_->EmptyLog(is_ending); !emptied.ok()) LOG(ERROR) << emptied.message();
  ballast_.Keep();
}

absl::StatusOr<PingReply> Worker::Ping(const PingRequest& request) {
  {
    MutexLock lock(&mutex_);
    if (request.worker_id() != identity_.worker_id) {
      return absl::FailedPreconditionError(absl::StrCat(options_.advertise, " is the address of worker ",
                                                        identity_.worker_id, "; --advertise names the wrong one"));
    }
  }
  if (request.incarnation() != incarnation_) return absl::FailedPreconditionError("another process of it answers there");
  if (const std::optional<RocksDisk::Wait> wait = disk_.Waiting())
    return absl::FailedPreconditionError(absl::StrCat("waits for ", wait->what, ": ", wait->reason));
  {
    MutexLock lock(&mutex_);
    if (absl::Status open = CheckOpen(); !open.ok()) return open;
    if (absl::Status obeyed = Obey(request.cluster_id(), request.epoch()); !obeyed.ok()) return obeyed;
  }
  if (absl::Status writes = probe_.Check(); !writes.ok()) return writes;
  return PingReply();
}

absl::StatusOr<std::shared_ptr<WorkerJob>> Worker::FindJob(const RequestId& id) {
  MutexLock lock(&mutex_);
  if (absl::Status open = CheckOpen(); !open.ok()) return open;
  if (absl::Status obeyed = Obey(id.cluster_id(), id.epoch()); !obeyed.ok()) return obeyed;
  const auto it = jobs_.find(id.job_id());
  if (it == jobs_.end()) return absl::FailedPreconditionError("the job is not assigned to the worker");
  return it->second;
}

absl::StatusOr<std::shared_ptr<WorkerJob>> Worker::JobFor(const AssignRequest& request) {
  MutexLock lock(&mutex_);
  if (absl::Status open = CheckOpen(); !open.ok()) return open;
  if (absl::Status obeyed = Obey(request.id().cluster_id(), request.id().epoch()); !obeyed.ok()) return obeyed;
  std::shared_ptr<WorkerJob>& job = jobs_[request.id().job_id()];
  if (job == nullptr) job = MakeJob(request.id().job_id(), {});
  job_count_ = jobs_.size();
  return job;
}

}  // namespace tenfold
