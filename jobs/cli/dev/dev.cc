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
#include "common/process/process.h"
#include "common/thread/mutex.h"
#include "fmt/format.h"
#include "glog/logging.h"
#include "jobs/cli/dev/dev_session.h"
#include "jobs/cli/dev/dev_table.h"
#include "jobs/cli/output.h"
#include "jobs/cli/verbs.h"
#include "jobs/feed/pace.h"
#include "jobs/feed/ready_jobs.h"
#include "jobs/feed/sample_producer.h"
#include "jobs/spec/job_spec.h"
#include "jobs/spec/spec_rules.h"

namespace tenfold {
namespace {

constexpr uint32_t kPages = 100;
constexpr int kMaxWorkers = 64;
constexpr uint64_t kMaxRate = 1'000'000;
constexpr absl::Duration kDropCheckEvery = absl::Seconds(2);

struct Options {
  // How many batches to show; 0 for no limit.
  uint64_t batches = 0;
  int workers = 2;
  uint64_t rate = 1000;
  std::string kafka;
  std::string job = "popularity";
};

// Appends sample events at a steady rate on its own thread, and retries while Kafka is not reachable.
class EventProducer {
 public:
  EventProducer(std::unique_ptr<LogWriter> writer, std::string topic, int partitions, const Options& options)
      : writer_(std::move(writer)),
        topic_(std::move(topic)),
        partitions_(static_cast<uint64_t>(partitions)),
        pace_(options.rate),
        events_(FindReadyJob(options.job)->events, std::random_device()(), kPages),
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
    return writer_->Append(topic_, static_cast<int32_t>(produced_++ % partitions_),
                           events_.Next(absl::ToUnixMillis(absl::Now())));
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
      : options_(options),
        terminal_(isatty(STDOUT_FILENO) == 1),
        spec_(DevSpec(options.job)),
        session_(ClusterOptions(options, spec_)) {}

  int Run() {
    std::optional<int> exit_code = session_.Start(spec_);
    if (!exit_code) exit_code = StartProducer();
    while (!exit_code) exit_code = ShowNext();
    // Ends the processes before the producer's broker.
    session_.Stop();
    return *exit_code;
  }

 private:
  static DevCluster::Options ClusterOptions(const Options& options, const JobSpec& spec) {
    DevCluster::Options cluster;
    cluster.kafka = options.kafka;
    cluster.topics = {spec.source().topics(0)};
    cluster.workers = options.workers;
    return cluster;
  }

  std::optional<int> StartProducer() {
    LogConfig config;
    config.brokers = session_.cluster()->brokers();
    absl::StatusOr<std::unique_ptr<LogWriter>> writer = LogWriter::Create(config, {});
    if (!writer.ok()) {
      PrintError(std::string(writer.status().message()));
      return kExitRefused;
    }
    producer_.emplace(*std::move(writer), spec_.source().topics(0), session_.cluster()->partitions(), options_);
    return std::nullopt;
  }

  // Waits a moment for the next batch and shows it. Returns an exit code if that was the last one.
  std::optional<int> ShowNext() {
    GetBatchReply reply;
    bool found = false;
    if (const std::optional<int> exit_code = session_.Next(shown_ + 1, &found, &reply)) return exit_code;
    return found ? Show(reply) : std::nullopt;
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
    return shown_ == options_.batches ? std::optional<int>(kExitOk) : std::nullopt;
  }

  void NoteDrops() {
    if (!note_.empty() || absl::Now() < drop_check_at_) return;
    drop_check_at_ = absl::Now() + kDropCheckEvery;
    if (session_.cluster()->DroppedRecords() == 0) return;
    note_ =
        "the embedded broker keeps 5 MiB a partition and has begun to drop the log's start: the scores stay right, but "
        "they can no longer be recomputed from the log";
    PrintError(note_);
  }

  const Options options_;
  const bool terminal_;
  const JobSpec spec_;
  DevSession session_;
  std::optional<EventProducer> producer_;

  uint64_t shown_ = 0;
  int64_t published_at_us_ = 0;
  absl::Time drop_check_at_ = absl::Now();
  std::string note_;
};

std::string CheckRange(const std::string& text, uint64_t least, uint64_t most) {
  uint64_t number = 0;
  return absl::SimpleAtoi(text, &number) && number >= least && number <= most
             ? ""
             : fmt::format("'{}' is no number from {} to {}", text, least, most);
}

}  // namespace

JobSpec DevSpec(const std::string& job) {
  JobSpec spec;
  CHECK(ReadJobSpec(FindReadyJob(job)->spec, &spec).empty()) << "ready job " << job;
  spec.clear_sinks();
  return spec;
}

void AddDev(CLI::App* app, const CliGlobals*, RunVerb* run) {
  CLI::App* const verb = app->add_subcommand(
      "dev",
      "try Tenfold on this machine: starts a broker, a driver and workers, produces sample events of a ready job and\n"
      "shows its result live; Ctrl-C ends all of it");
  const auto options = std::make_shared<Options>();
  verb->add_option("--job", options->job, "the ready job: " + ReadyJobNames())
      ->type_name("NAME")
      ->capture_default_str()
      ->check(CheckReadyJob);
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
