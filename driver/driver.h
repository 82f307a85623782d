// The driver: does what the coordinator decides. One thread owns the coordinator; Kafka, workers, the journal and the CLI
// post events to it. Threads: the loop, the journal's, three a job for Kafka, one a sink, and gRPC's own.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/limits.h"
#include "driver.pb.h"
#include "driver/coordinator.h"
#include "driver/job_log.h"
#include "driver/journal.h"
#include "driver/journal_writer.h"
#include "driver/sinks.h"
#include "driver/worker_client.h"

namespace tenfold {

class Driver {
 public:
  struct Options {
    std::string data_dir;
    // Brokers of jobs whose spec names none.
    std::string kafka;
    uint32_t lease_ms = 3000;
    // Batches of a job that stay readable.
    uint64_t kept_batches = 10'000;
    // Batches that a sink has yet to take stay as well. With as many the job waits for the sink.
    uint64_t sink_backlog = kSinkBacklog;
    // What the totals kept of jobs that are merged by changes may take together, in bytes.
    uint64_t merge_memory = kMergeMemoryBytes;
    // Folders in which a sink may have an absolute path.
    std::vector<std::string> sink_folders;
  };

  // Reads the journal and goes on where it ends. The errors are Journal::Open's.
  static absl::StatusOr<std::unique_ptr<Driver>> Start(const Options& options);
  // What is under way is cut short; everything committed is in the journal.
  ~Driver();

  // What the CLI and the workers ask (proto/driver.proto); called on gRPC's threads. Those that wait, for Kafka or for a
  // batch, do so kMaxWaitingCalls at a time, else they are RESOURCE_EXHAUSTED. `is_cancelled` tells that nobody waits for
  // the answer any more.
  absl::StatusOr<HeartbeatReply> Heartbeat(const HeartbeatRequest& request);
  absl::StatusOr<SubmitReply> Submit(const SubmitRequest& request);
  absl::StatusOr<CancelReply> Cancel(const CancelRequest& request);
  absl::StatusOr<ListJobsReply> ListJobs();
  absl::StatusOr<JobStatus> GetStatus(const GetStatusRequest& request);
  absl::StatusOr<GetBatchReply> GetBatch(const GetBatchRequest& request, const std::function<bool()>& is_cancelled);
  absl::StatusOr<GetEndsReply> GetEnds(const GetEndsRequest& request);
  absl::StatusOr<ListWorkersReply> ListWorkers();

  // Requests that wait return UNAVAILABLE from now on, those for Kafka within 3 s.
  void Stop();

 private:
  // What a job needs besides its decisions.
  struct JobParts {
    std::shared_ptr<JobLog> log;
    std::shared_ptr<JobSinks> sinks;
    // Who has them last ends them, and puts the sinks' folder aside.
    bool retires = false;
  };
  using CancelDone = std::function<void(JobParts)>;
  struct Retiring {
    std::string job_id;
    bool under_way = false;
    // Told when it no longer is.
    std::vector<CancelDone> waiting;
  };

  explicit Driver(const Options& options);

  void RunLoop();
  // False if the loop has ended: the event is not taken.
  bool Post(std::function<void()> event);
  // Runs `question` on the loop and returns its answer.
  template <typename Answer>
  absl::StatusOr<Answer> Ask(std::function<absl::StatusOr<Answer>()> question);

  // On the loop.
  int64_t NowMs() const;
  void Do(Actions* actions);
  void Do(const SendAssign& send);
  void Do(const SendPrepare& send);
  void Do(const SendFold& send);
  void Do(const SendLookUp& send);
  void Do(const QueryEnds& query);
  void Do(const FindPartitions& find);
  void Do(const QuerySinks& query);
  void Do(const AppendRecord& append);
  void Do(const PublishBatch& publish);
  void Do(const CloseJob& close);
  void OnJournaled(const JournalRecord& record);
  // Puts the folder of a cancelled job's sinks aside, in its thread; then the name is free.
  absl::Status Retire(const std::string& name, const std::string& job_id);
  // Tries again what a Retire could not do. FAILED_PRECONDITION as long as the name is not free.
  absl::Status FreeName(const std::string& name);
  absl::Status OpenJob(const JobMachine& job);
  std::string AddressOf(const std::string& worker) const;
  absl::StatusOr<const JobMachine*> FindJob(const std::string& job) const;
  JobStatus StatusOf(const JobMachine& job) const;
  std::string BrokersOf(const JobSpec& spec) const;

  const Options options_;
  // The decisions' clock: wall time at the start, then steady.
  const int64_t started_wall_ms_;
  const std::chrono::steady_clock::time_point started_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<JournalWriter> writer_;
  std::unique_ptr<WorkerClient> workers_;

  // Used by the loop alone.
  Coordinator coordinator_;
  std::map<std::string, JobParts> parts_;
  // Told when the record that makes or ends the job is journalled.
  std::map<std::string, std::promise<absl::Status>> submitting_;
  std::map<std::string, std::vector<CancelDone>> cancelling_;
  // By name: cancelled jobs whose sinks' folder still has it. No job of that name is taken meanwhile: it would write there.
  std::map<std::string, Retiring> retiring_;

  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<std::function<void()>> events_;  // guarded by mutex_
  bool loop_ends_ = false;                    // guarded by mutex_

  // Last committed batch a job, for those who wait.
  std::mutex committed_mutex_;
  std::condition_variable committed_;
  std::map<std::string, uint64_t> committed_batches_;  // guarded by committed_mutex_
  std::stop_source stop_;
  std::atomic<int> waiting_calls_ = 0;

  std::thread loop_thread_;
};

}  // namespace tenfold
