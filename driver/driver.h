// The driver: does what its decisions (driver/core/cluster_machine.h) ask for. One thread owns them; Kafka, workers, the
// journal and the CLI post events to it. Threads: the loop, the journal's, three a job for Kafka, one a sink, and gRPC's
// own.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/files/rocks_disk.h"
#include "common/kafka/log.h"
#include "common/kafka/property_value.h"
#include "common/thread/event_queue.h"
#include "driver.pb.h"
#include "driver/committed_batches.h"
#include "driver/core/cluster_machine.h"
#include "driver/core/cluster_view.h"
#include "driver/job_topics.h"
#include "driver/journal/journal.h"
#include "driver/journal/journal_writer.h"
#include "driver/registry_client.h"
#include "driver/sinks/job_sinks.h"
#include "driver/worker_client.h"

namespace tenfold {

class Driver {
 public:
  struct Options {
    // Batches of a job that stay readable. Those that a sink has yet to take stay as well.
    uint64_t kept_batches = 10'000;
    ClusterOptions cluster;
    // Its data directory is the driver's.
    SinkPlaces places;
    // Where the files lie that Kafka properties name.
    std::vector<std::string> property_dirs = DefaultPropertyDirs();
  };

  explicit Driver(Options options);
  // Reads the journal and goes on where it ends; called once. Waits for room on the disk, if it has to. The errors are
  // Journal::Open's.
  absl::Status Open();
  // UNAVAILABLE, saying what Open waits for, until it has succeeded; before, nothing may be asked.
  absl::Status CheckOpen() const;
  // Cuts short what is in flight; everything committed is in the journal.
  ~Driver();

  // What the CLI and the workers ask (proto/driver.proto); called on gRPC's threads. Those that wait, for Kafka or for a
  // batch, do so kMaxWaitingCalls at a time, else they are RESOURCE_EXHAUSTED. `is_cancelled` tells that nobody waits for
  // the answer any more.
  absl::StatusOr<HeartbeatReply> Heartbeat(const HeartbeatRequest& request);
  absl::StatusOr<SubmitReply> Submit(const SubmitRequest& request);
  absl::StatusOr<UpdateReply> Update(const UpdateRequest& request);
  absl::StatusOr<CancelReply> Cancel(const CancelRequest& request);
  absl::StatusOr<SetPausedReply> SetPaused(const SetPausedRequest& request);
  absl::StatusOr<ListJobsReply> ListJobs();
  absl::StatusOr<JobStatus> GetStatus(const GetStatusRequest& request);
  absl::StatusOr<GetBatchReply> GetBatch(const GetBatchRequest& request, const std::function<bool()>& is_cancelled);
  absl::StatusOr<GetEndsReply> GetEnds(const GetEndsRequest& request);
  absl::StatusOr<ListWorkersReply> ListWorkers();

  // Requests that wait return UNAVAILABLE from now on, those for Kafka within 3 s.
  void Stop();
  // Ends the decisions and the sinks, all jobs' at once, within a second or two. What is left are clients of Kafka, each of
  // which may take seconds to end, so that a process exits without them. Requests are still answered, as after Stop.
  void Close();

 private:
  // What a job needs besides its decisions.
  struct JobParts {
    std::shared_ptr<JobTopics> topics;
    // Null while an update replaces them.
    std::shared_ptr<JobSinks> sinks;
    // Null before its first question.
    std::shared_ptr<RegistryClient> registry;
    // The spec that both were made of, and how many refolds had switched then.
    JobSpec spec;
    uint32_t fold = 0;
  };
  // What a caller waits for: that its record is journalled, and what it replaces or ends has ended.
  using Journalled = std::shared_ptr<std::promise<absl::Status>>;

  void RunLoop();
  // Runs `event` on the loop with the cluster's decisions, the time and a list of actions, and does those actions. False if
  // the loop has ended: the event is not taken.
  using Event = std::function<void(ClusterMachine*, int64_t now_us, Actions*)>;
  bool Post(Event event);
  void Handle(const Event& event);
  // Runs `question` the same way and returns its answer.
  template <typename Answer>
  absl::StatusOr<Answer> Ask(std::function<absl::StatusOr<Answer>(ClusterMachine*, int64_t now_us, Actions*)> question) {
    auto answer = std::make_shared<std::promise<absl::StatusOr<Answer>>>();
    std::future<absl::StatusOr<Answer>> future = answer->get_future();
    const Event event = [answer, question](ClusterMachine* cluster, int64_t now_us, Actions* actions) {
      answer->set_value(question(cluster, now_us, actions));
    };
    if (stop_.stop_requested() || !Post(event)) return absl::UnavailableError("the driver is stopping");
    return future.get();
  }

  // On the loop.
  int64_t NowUs() const;
  template <typename Request>
  void Do(const Send<Request>& send);
  void Do(const QueryEnds& query);
  void Do(const FindPartitions& find);
  void Do(const AskSchema& ask);
  void Do(const QuerySinks& query);
  void Do(const AppendRecord& append);
  void Do(const CompareLineage& compare);
  void Do(const PublishBatch& publish);
  // Tells the job what its topics have, unless an update has replaced those that were asked, since they may be other
  // brokers'.
  void PostFound(const std::string& job_id, std::weak_ptr<JobTopics> asked, const absl::StatusOr<FoundPartitions>& found);
  void Do(const CloseJob& close);
  // Ends the parts on another thread; calls `sinks_ended` there when their files are free, before Kafka's clients end, which
  // may take seconds.
  void EndLater(const std::string& job_id, JobParts parts, std::function<void()> sinks_ended);
  // Says what has become of a job.
  static void LogJob(const JournalRecord& record, const ClusterMachine& cluster);
  void OnJournaled(const JournalRecord& record, ClusterMachine* cluster, int64_t now_us, Actions* actions);
  absl::Status OpenJob(const JobMachine& job);
  void OpenSinks(const JournalledJob& job, JobParts* parts);
  // Has the parts be those of the job's present spec, and then tells `journalled`, if it is not null.
  void ReplaceParts(const std::string& job_id, const Journalled& journalled);
  // What sinks are made of, but for where they may write and whom they tell.
  static JobSinks::Options SinksOf(const JournalledJob& job);
  // Takes what the job's present spec needs anew out of the parts.
  JobParts TakeReplaced(const JobMachine& job);
  absl::StatusOr<std::vector<Partition>> Resolve(const JobSpec& spec);
  // How to reach the spec's Kafka.
  LogConfig LogOf(const JobSpec& spec) const;
  // Has the cluster ask for a change of a job to be journalled, which `journalled` is told then. Returns the job's id.
  absl::StatusOr<std::string> Change(ClusterMachine* cluster, std::string job_id, JournalRecord change,
                                     const Journalled& journalled, int64_t now_us, Actions* actions);
  // Waits for the record of a request. UNAVAILABLE, saying why, if the driver stops, or waits for its own disk.
  absl::Status Await(std::future<absl::Status> journalled) const;
  absl::StatusOr<const JobMachine*> FindJob(const std::string& job) const;
  JobStatus StatusOf(const JobMachine& job) const;

  const Options options_;
  std::atomic<bool> is_open_ = false;
  // The decisions' clock: wall time at the start, then steady.
  const int64_t started_wall_us_;
  const std::chrono::steady_clock::time_point started_;
  // The journal's files.
  RocksDisk disk_;
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<JournalWriter> writer_;
  std::unique_ptr<WorkerClient> workers_;

  // Used by the loop alone.
  ClusterMachine cluster_;
  std::map<std::string, JobParts> parts_;
  // Callers that wait until the record that makes or ends the job is journalled, by job id.
  std::map<std::string, std::vector<Journalled>> submitting_;
  std::map<std::string, std::vector<Journalled>> cancelling_;
  // Callers of Update and SetPaused, by job id, in the records' order.
  std::map<std::string, std::deque<Journalled>> changing_;
  // By job id, the last thread that ends parts of it, which waits for the one before.
  std::map<std::string, std::shared_future<void>> ending_;

  EventQueue<Event> events_;
  CommittedBatches committed_;
  std::stop_source stop_;
  std::atomic<int> waiting_calls_ = 0;

  std::jthread loop_thread_;
};

}  // namespace tenfold
