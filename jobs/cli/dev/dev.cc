// The verb dev: the whole of Tenfold on this machine, with sample events and a live top ten.
#include "jobs/cli/dev/dev.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/kafka/log.h"
#include "common/net/rpc.h"
#include "common/process/process.h"
#include "common/thread/mutex.h"
#include "fmt/format.h"
#include "glog/logging.h"
#include "jobs/cli/batch_client.h"
#include "jobs/cli/dev/dev_cluster.h"
#include "jobs/cli/dev/dev_table.h"
#include "jobs/cli/driver_calls.h"
#include "jobs/cli/output.h"
#include "jobs/cli/verbs.h"
#include "jobs/feed/pace.h"
#include "jobs/feed/sample_producer.h"
#include "jobs/show/status_json.h"
#include "jobs/spec/job_spec.h"
#include "jobs/spec/spec_rules.h"

namespace tenfold {
namespace {

constexpr char kSpec[] = R"(name: popularity
source:
  kafka: {topics: [user-behavior-topic], start: earliest}
  format: {delimited: {separator: "|", fields: [page, clicks, minutes, like]}}
key: page
score: 0.8*clicks + 0.8*minutes + 1*like
top: 10
batch: {interval: 2s}
initial: {page1: 0}
state: {wal: sync}
on_bad_record: skip
)";

constexpr uint32_t kPages = 100;
constexpr int kMaxWorkers = 64;
constexpr uint64_t kMaxRate = 1'000'000;
// How long a call waits for a batch that the driver does not have yet; between calls the processes are checked.
constexpr absl::Duration kWait = absl::Milliseconds(500);
constexpr absl::Duration kAnswerTimeout = absl::Seconds(1);
constexpr absl::Duration kStartTimeout = absl::Seconds(60);
// If there is no batch for this long, the job's status is asked for.
constexpr absl::Duration kPatience = absl::Seconds(5);
constexpr absl::Duration kDropCheckEvery = absl::Seconds(2);

struct Options {
  // How many batches to show; 0 for no limit.
  uint64_t batches = 0;
  int workers = 2;
  uint64_t rate = 1000;
  std::string kafka;
};

// Appends sample events at a steady rate on its own thread, and retries while Kafka is not reachable.
class EventProducer {
 public:
  EventProducer(std::unique_ptr<LogWriter> writer, std::string topic, int partitions, uint64_t rate)
      : writer_(std::move(writer)),
        topic_(std::move(topic)),
        partitions_(static_cast<uint64_t>(partitions)),
        pace_(rate),
        events_(std::random_device()(), kPages),
        thread_([this](const std::stop_token& stop) { Run(stop); }) {}

 private:
  void Run(const std::stop_token& stop) {
    absl::Status status;
    absl::Time flushed = absl::Now();
    while (!stop.stop_requested()) {
      const absl::Status before = status;
      // After a failure nothing is appended, so that the queue never fills up and no append waits for long.
      if (!before.ok() || absl::Now() - flushed >= absl::Seconds(1)) {
        status = writer_->Flush(absl::Seconds(1));
        flushed = absl::Now();
      }
      for (uint64_t due = pace_.Due(); due > 0 && status.ok(); --due) {
        status = Append();
        pace_.Take(1);
      }
      if (!status.ok() && status != before) PrintError(fmt::format("producing: {}", std::string(status.message())));
      Pause(status.ok() ? absl::Milliseconds(10) : absl::Milliseconds(500), stop);
    }
  }

  absl::Status Append() {
    // Names the partition, since librdkafka 2.0.2 would stay with one partition for long.
    return writer_->Append(topic_, static_cast<int32_t>(produced_++ % partitions_), events_.Next());
  }

  void Pause(absl::Duration pause, const std::stop_token& stop) {
    MutexLock lock(&mutex_);
    stopped_.Sleep(&mutex_, stop, absl::ToChronoMilliseconds(pause));
  }

  const std::unique_ptr<LogWriter> writer_;
  const std::string topic_;
  const uint64_t partitions_;
  Pace pace_;
  SampleEvents events_;
  uint64_t produced_ = 0;
  Mutex mutex_;
  CondVar stopped_;
  // The last member, so that the thread ends before what it uses.
  std::jthread thread_;
};

class Dev {
 public:
  explicit Dev(const Options& options)
      : options_(options), terminal_(isatty(STDOUT_FILENO) == 1), cluster_(ClusterOptions(options)) {
    CHECK(ReadJobSpec(kSpec, &spec_).empty()) << "dev's own job spec";
  }

  int Run() {
    if (const absl::Status status = cluster_.Start(); !status.ok()) {
      PrintError(std::string(status.message()));
      return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ? kExitUnavailable : kExitRefused;
    }
    globals_.driver = cluster_.address();
    driver_ = DriverService::NewStub(MakeChannel(globals_.driver));
    std::optional<int> exit_code = AwaitWorkers();
    if (!exit_code) exit_code = Submit();
    if (!exit_code) exit_code = StartProducer();
    while (!exit_code) exit_code = ShowNext();
    // Ends the processes before the producer's broker.
    cluster_.Stop();
    return *exit_code;
  }

 private:
  static DevCluster::Options ClusterOptions(const Options& options) {
    DevCluster::Options cluster;
    cluster.kafka = options.kafka;
    cluster.topic = "user-behavior-topic";
    cluster.workers = options.workers;
    return cluster;
  }

  // Makes one call, which Ctrl-C cancels.
  template <typename Request, typename Reply>
  grpc::Status Call(grpc::Status (DriverService::Stub::*method)(grpc::ClientContext*, const Request&, Reply*),
                    const Request& request, absl::Duration timeout, Reply* reply) {
    grpc::ClientContext context;
    SetDeadline(&context, timeout);
    context.set_wait_for_ready(true);
    interrupt_.Enter(&context);
    const grpc::Status status = (driver_.get()->*method)(&context, request, reply);
    interrupt_.Leave();
    return status;
  }

  // Returns the exit code after Ctrl-C or the death of a process, which it reports; nullopt if dev goes on.
  std::optional<int> Ended() {
    if (interrupt_.raised()) return kExitOk;
    const std::string failure = cluster_.Failure();
    if (failure.empty()) return std::nullopt;
    PrintError(failure);
    return kExitRefused;
  }

  std::optional<int> AwaitWorkers() {
    const absl::Time deadline = absl::Now() + kStartTimeout;
    while (absl::Now() < deadline) {
      ListWorkersReply reply;
      const grpc::Status status = Call(&DriverService::Stub::ListWorkers, ListWorkersRequest(), kWait, &reply);
      if (const std::optional<int> exit_code = Ended()) return exit_code;
      if (status.ok() && reply.workers_size() >= options_.workers) return std::nullopt;
      interrupt_.Sleep(absl::Milliseconds(20));
    }
    PrintError(fmt::format("the driver and its workers were not ready within {}", absl::FormatDuration(kStartTimeout)));
    return kExitRefused;
  }

  std::optional<int> Submit() {
    SubmitRequest request;
    *request.mutable_spec() = spec_;
    SubmitReply reply;
    const grpc::Status status = Call(&DriverService::Stub::Submit, request, kKafkaAnswerTimeout, &reply);
    if (const std::optional<int> exit_code = Ended()) return exit_code;
    return status.ok() ? std::nullopt : std::optional(ReportError(globals_, status));
  }

  std::optional<int> StartProducer() {
    LogConfig config;
    config.brokers = cluster_.brokers();
    absl::StatusOr<std::unique_ptr<LogWriter>> writer = LogWriter::Create(config, {});
    if (!writer.ok()) {
      PrintError(std::string(writer.status().message()));
      return kExitRefused;
    }
    producer_.emplace(*std::move(writer), spec_.source().topics(0), cluster_.partitions(), options_.rate);
    return std::nullopt;
  }

  // Waits a moment for the next batch and shows it. Returns an exit code if that was the last one.
  std::optional<int> ShowNext() {
    GetBatchRequest request;
    request.set_job(spec_.name());
    request.set_batch(shown_ + 1);
    request.set_wait_ms(static_cast<uint32_t>(absl::ToInt64Milliseconds(kWait)));
    GetBatchReply reply;
    const grpc::Status status = Call(&DriverService::Stub::GetBatch, request, kWait + kAnswerTimeout, &reply);
    if (const std::optional<int> exit_code = Ended()) return exit_code;
    if (status.ok()) return Show(reply);
    if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) return CheckJob();
    if (!IsDriverLost(status)) return ReportError(globals_, status);
    // Gives the end of a process time to be seen, so that it is reported at once.
    interrupt_.Sleep(absl::Milliseconds(20));
    return std::nullopt;
  }

  std::optional<int> Show(const GetBatchReply& reply) {
    const BatchCommitted& batch = reply.batch();
    DevBatch shown;
    shown.reply = &reply;
    if (shown_ > 0 && batch.published_at_us() > published_at_us_) {
      shown.records_per_second =
          1e6 * static_cast<double>(batch.batch_records()) / static_cast<double>(batch.published_at_us() - published_at_us_);
    }
    NoteDrops();
    shown.note = note_;
    if (!PrintData(terminal_ ? (shown_ == 0 ? "\x1b[2J" : "") + DevScreen(shown) : DevLines(shown))) return kExitOk;
    shown_ = batch.batch();
    published_at_us_ = batch.published_at_us();
    progress_at_ = absl::Now();
    told_.clear();
    return shown_ == options_.batches ? std::optional<int>(kExitOk) : std::nullopt;
  }

  // Prints what the job waits for, if there was no batch for long. Returns an exit code if the job has failed.
  std::optional<int> CheckJob() {
    if (absl::Now() - progress_at_ < kPatience) return std::nullopt;
    GetStatusRequest request;
    request.set_job(spec_.name());
    JobStatus job;
    const grpc::Status status = Call(&DriverService::Stub::GetStatus, request, kAnswerTimeout, &job);
    const std::string reason = ReasonText(job);
    if (!status.ok() || reason.empty()) return std::nullopt;
    if (std::exchange(told_, reason) != reason) PrintError(Headline(job));
    return job.state() == JOB_FAILED || job.state() == JOB_CANCELLED ? std::optional<int>(kExitRefused) : std::nullopt;
  }

  void NoteDrops() {
    if (!note_.empty() || absl::Now() < drop_check_at_) return;
    drop_check_at_ = absl::Now() + kDropCheckEvery;
    if (cluster_.DroppedRecords() == 0) return;
    note_ =
        "the embedded broker keeps 5 MiB a partition and has begun to drop the log's start: the scores stay right, but "
        "they can no longer be recomputed from the log";
    PrintError(note_);
  }

  const Options options_;
  const bool terminal_;
  JobSpec spec_;
  // The first member, as it is made before any thread is started.
  Interrupt interrupt_;
  DevCluster cluster_;
  CliGlobals globals_;
  std::unique_ptr<DriverService::Stub> driver_;
  std::optional<EventProducer> producer_;

  uint64_t shown_ = 0;
  int64_t published_at_us_ = 0;
  absl::Time progress_at_ = absl::Now();
  absl::Time drop_check_at_ = absl::Now();
  std::string note_;
  std::string told_;
};

std::string CheckRange(const std::string& text, uint64_t least, uint64_t most) {
  uint64_t number = 0;
  return absl::SimpleAtoi(text, &number) && number >= least && number <= most
             ? ""
             : fmt::format("'{}' is no number from {} to {}", text, least, most);
}

}  // namespace

std::string_view DevSpec() { return kSpec; }

void AddDev(CLI::App* app, const CliGlobals*, RunVerb* run) {
  CLI::App* const verb = app->add_subcommand(
      "dev",
      "try Tenfold on this machine: starts a broker, a driver and workers, produces sample events and shows the ten\n"
      "hottest pages live; Ctrl-C ends all of it");
  const auto options = std::make_shared<Options>();
  verb->add_option("--batches", options->batches, "end after so many published batches")->check([](const std::string& text) {
    return CheckRange(text, 1, UINT64_MAX);
  });
  verb->add_option("--workers", options->workers, "worker processes")
      ->capture_default_str()
      ->check([](const std::string& text) { return CheckRange(text, 1, kMaxWorkers); });
  verb->add_option("--rate", options->rate, "sample events a second")
      ->type_name("EVENTS_PER_SECOND")
      ->capture_default_str()
      ->check([](const std::string& text) { return CheckRange(text, 1, kMaxRate); });
  verb->add_option("--kafka", options->kafka, "brokers of a real Kafka, in place of the broker inside this program")
      ->type_name("BROKERS")
      ->check([](const std::string& text) { return CheckBrokers(text); });
  verb->callback([options, run] { *run = [options] { return Dev(*options).Run(); }; });
}

}  // namespace tenfold
