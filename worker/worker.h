// The worker: its jobs, its state on disk, and the heartbeat that keeps it a member of the cluster. Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/files/ballast.h"
#include "common/files/directory_lock.h"
#include "common/files/rocks_disk.h"
#include "common/kafka/log.h"
#include "common/kafka/property_value.h"
#include "common/thread/mutex.h"
#include "worker.pb.h"
#include "worker/core/capacity.h"
#include "worker/core/memory_budget.h"
#include "worker/disk_probe.h"
#include "worker/driver_client.h"
#include "worker/fold/reader_slots.h"
#include "worker/identity.h"
#include "worker/store/state_store.h"
#include "worker/worker_job.h"

namespace tenfold {

class Worker {
 public:
  struct Options {
    std::string data_dir;
    std::string driver;
    // Where the driver reaches this worker.
    std::string advertise;
    size_t threads = 1;
    MemoryBudget memory;
    // Where the files lie that Kafka properties name.
    std::vector<std::string> property_dirs = DefaultPropertyDirs();
    // What reads the log.
    ReaderChoice reader = ReaderChoice::kAuto;
  };

  // Takes the data directory, without its states. FAILED_PRECONDITION if another process has it, INVALID_ARGUMENT if it is a
  // driver's.
  static absl::StatusOr<std::unique_ptr<Worker>> Create(Options options);
  // Opens the states in the directory; waits for room on its disk, after it has given up the ballast. A state store that
  // does not open is set aside, and its shards are folded again. Until it has returned OK requests are refused. Called once.
  absl::Status OpenStates();
  // No request may be under way.
  ~Worker();

  // Where the driver reaches it; set before StartHeartbeat if not known when opened.
  void SetAdvertised(std::string address) { options_.advertise = std::move(address); }
  const std::string& advertised() const { return options_.advertise; }

  // Begins to tell the driver that it is there; `refused` is called once, from another thread, if the driver will never
  // have it.
  void StartHeartbeat(std::function<void(const absl::Status&)> refused);
  // Cuts short the requests that run, and refuses those that come.
  void Stop();
  // Writes out what is not in the WAL, unless the disk hangs. What is left are clients of Kafka, each of which may take
  // seconds to end, so that a process exits without them.
  void Close();

  absl::StatusOr<PingReply> Ping(const PingRequest& request);
  // What proto/worker.proto says of each request, done by the request's job.
  template <typename Request>
  auto Handle(const Request& request) -> decltype(std::declval<WorkerJob&>().Handle(request)) {
    const absl::StatusOr<std::shared_ptr<WorkerJob>> job = JobFor(request);
    if (!job.ok()) return job.status();
    return (*job)->Handle(request);
  }

 private:
  explicit Worker(Options options);

  absl::StatusOr<std::unique_ptr<StateStore>> OpenStore();
  // Why no request is taken; OK if they are.
  // Whether what is written still goes to the data directory.
  absl::Status CheckDirectory() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status CheckOpen() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether a driver of this cluster and epoch is obeyed. A higher epoch than any before is durable on return.
  absl::Status Obey(const std::string& cluster_id, uint64_t epoch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RunHeartbeat(const std::stop_token& stop, const std::function<void(const absl::Status&)>& refused);
  // Keeps the ballast, once there is room for it, and gives it up where states cannot be opened without.
  void KeepBallast();
  // If there are more jobs than `shared_by`, has all keep to their shares of memory. Has idle ones give up readers.
  void LookAfterJobs(size_t* shared_by);
  // What is done now and then, besides requests and heartbeats, since it may take seconds.
  void RunUpkeep(const std::stop_token& stop);
  absl::Status Beat(DriverClient* driver, uint32_t* lease_ms, const std::stop_token& stop);
  std::shared_ptr<WorkerJob> MakeJob(const std::string& job_id, const std::vector<ShardState>& found)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // FAILED_PRECONDITION if the job was never assigned here. An Assign makes it.
  template <typename Request>
  absl::StatusOr<std::shared_ptr<WorkerJob>> JobFor(const Request& request) {
    return FindJob(request.id());
  }
  absl::StatusOr<std::shared_ptr<WorkerJob>> JobFor(const AssignRequest& request);
  absl::StatusOr<std::shared_ptr<WorkerJob>> FindJob(const RequestId& id);
  void DropJob(const std::string& job_id);

  Options options_;
  const uint64_t incarnation_;
  const Capacity capacity_;
  ReaderSlots readers_;
  DirectoryLock lock_;
  RocksDisk disk_;
  Ballast ballast_;
  DiskProbe probe_;
  // Null until the states are open.
  std::unique_ptr<StateStore> store_;

  Mutex mutex_;
  bool is_open_ ABSL_GUARDED_BY(mutex_) = false;
  Identity identity_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::shared_ptr<WorkerJob>> jobs_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // Guards jobs_; the jobs guard themselves.
  std::atomic<size_t> job_count_ = 0;

  CondVar stopped_;
  // A thread is dropping jobs; held while it drops states.
  std::atomic<bool> dropping_ = false;
  // A drop is to have the room that is given up for it.
  std::atomic<bool> drop_takes_room_ = false;
  Mutex drop_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  std::jthread dropper_;
  std::jthread upkeep_;
  std::jthread heartbeat_;
};

}  // namespace tenfold
