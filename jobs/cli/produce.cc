// The verb produce: appends the sample producer's events to a topic, steadily or in bursts.
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/kafka/log.h"
#include "common/process/process.h"
#include "common/text/duration.h"
#include "fmt/format.h"
#include "glog/logging.h"
#include "jobs/cli/output.h"
#include "jobs/cli/progress.h"
#include "jobs/cli/verbs.h"
#include "jobs/feed/pace.h"
#include "jobs/feed/ready_jobs.h"
#include "jobs/feed/sample_producer.h"
#include "jobs/spec/job_spec.h"
#include "jobs/spec/spec_rules.h"

namespace tenfold {
namespace {

// Kept below 5 s, in which the program, with closing its connections, is to end.
constexpr absl::Duration kKafkaTimeout = absl::Seconds(4);
// How long brokers may be away while events are produced: an election takes seconds.
constexpr absl::Duration kPatience = absl::Seconds(30);
// How many events are appended at a time, and how many may be undelivered. Both are below the size of the queue, so that an
// append never waits and a signal is noticed soon.
constexpr uint64_t kStretch = 1000;
constexpr uint64_t kMaxUndelivered = 200'000;
constexpr absl::Duration kDeliverEvery = absl::Seconds(1);
constexpr uint32_t kMaxBurst = 1'000'000;
constexpr uint64_t kMaxRate = 100'000'000;

struct Options {
  std::string kafka = "127.0.0.1:9092";
  // The ready job whose events are made, and where they go; empty for where the job reads.
  std::string job = "popularity";
  std::string topic;
  bool create_topic = false;
  int partitions = 3;
  int replication = 1;
  // If set, a steady rate in events per second, 0 for as fast as possible; else the events come in bursts.
  std::optional<uint64_t> rate;
  std::string every = "5s";
  std::string burst = "0..50";
  uint32_t pages = 100;
  // How many events to produce; 0 for no limit.
  uint64_t count = 0;
  std::optional<uint64_t> seed;
};

// Parses "LOW..HIGH".
std::optional<std::pair<uint32_t, uint32_t>> ParseBurst(std::string_view text) {
  const size_t dots = text.find("..");
  if (dots == std::string_view::npos || text.find_first_not_of("0123456789.") != std::string_view::npos) return std::nullopt;
  uint32_t low = 0, high = 0;
  if (!absl::SimpleAtoi(std::string(text.substr(0, dots)), &low)) return std::nullopt;
  if (!absl::SimpleAtoi(std::string(text.substr(dots + 2)), &high)) return std::nullopt;
  if (low > high || high > kMaxBurst) return std::nullopt;
  return std::pair(low, high);
}

// Sleeps for `pause`. Returns true as soon as one of the signals that BlockSignals blocks has come.
bool SignalWithin(absl::Duration pause) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  const timespec timeout = absl::ToTimespec(std::max(pause, absl::ZeroDuration()));
  return sigtimedwait(&signals, nullptr, &timeout) > 0;
}

int ReportKafkaError(const absl::Status& status) {
  PrintError(std::string(status.message()));
  const bool unreachable = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
  return unreachable ? kExitUnavailable : kExitRefused;
}

class Production {
 public:
  Production(const Options& options, std::unique_ptr<LogWriter> writer, int32_t partitions)
      : options_(options),
        writer_(std::move(writer)),
        partitions_(static_cast<uint64_t>(partitions)),
        events_(FindReadyJob(options.job)->events, options.seed ? *options.seed : std::random_device()(), options.pages),
        progress_("produced", "events", options.count) {}

  // Produces until the count is reached, a signal comes or Kafka fails.
  absl::Status Run() {
    const absl::Status status = !options_.rate        ? RunBursts()
                                : *options_.rate == 0 ? RunAtFullSpeed()
                                                      : RunAtPace(*options_.rate);
    return status.ok() ? writer_->Flush(kKafkaTimeout) : status;
  }

  uint64_t produced() const { return produced_; }
  // Those of which Kafka has said that it has them.
  uint64_t delivered() const { return delivered_; }

 private:
  bool Done() const { return options_.count > 0 && produced_ >= options_.count; }

  absl::Status RunAtFullSpeed() {
    while (!Done() && !SignalWithin(absl::ZeroDuration())) {
      if (absl::Status status = Append(kStretch); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status RunAtPace(uint64_t rate) {
    Pace pace(rate);
    while (!Done()) {
      const uint64_t due = std::min(pace.Due(), kStretch);
      if (absl::Status status = Append(due); !status.ok()) return status;
      pace.Take(due);
      if (SignalWithin(due == kStretch ? absl::ZeroDuration() : pace.UntilNext())) break;
    }
    return absl::OkStatus();
  }

  absl::Status RunBursts() {
    const absl::Duration every = *ParseDuration(options_.every);
    const auto [low, high] = *ParseBurst(options_.burst);
    absl::Time next = absl::Now();
    while (!Done()) {
      for (uint64_t left = events_.Burst(low, high); left > 0; left -= std::min(left, kStretch)) {
        if (absl::Status status = Append(std::min(left, kStretch)); !status.ok()) return status;
      }
      if (absl::Status status = Deliver(); !status.ok()) return status;
      // After a stall the next burst is not made up for.
      next = std::max(next + every, absl::Now());
      if (!Done() && SignalWithin(next - absl::Now())) break;
    }
    return absl::OkStatus();
  }

  // Appends events, but no more than the count asks for.
  absl::Status Append(uint64_t events) {
    if (options_.count > 0) events = std::min(events, options_.count - produced_);
    for (uint64_t i = 0; i < events; ++i) {
      // Names the partition, since librdkafka 2.0.2 would stay with one partition for long.
      const auto partition = static_cast<int32_t>(produced_ % partitions_);
      const int64_t now_ms = absl::ToUnixMillis(absl::Now());
      if (absl::Status status = writer_->Append(options_.topic, partition, events_.Next(now_ms)); !status.ok())
        return status;
      ++produced_;
    }
    progress_.Update(produced_);
    const bool many = produced_ - delivered_ >= kMaxUndelivered;
    const bool long_ago = produced_ > delivered_ && absl::Now() - delivered_at_ >= kDeliverEvery;
    return many || long_ago ? Deliver() : absl::OkStatus();
  }

  absl::Status Deliver() {
    absl::Status status = writer_->Flush(kKafkaTimeout);
    for (const absl::Time end = absl::Now() + kPatience; absl::IsUnavailable(status) && absl::Now() < end;) {
      if (SignalWithin(absl::ZeroDuration())) return status;
      status = writer_->Flush(kKafkaTimeout);
    }
    if (!status.ok()) return status;
    delivered_ = produced_;
    delivered_at_ = absl::Now();
    return absl::OkStatus();
  }

  const Options& options_;
  const std::unique_ptr<LogWriter> writer_;
  const uint64_t partitions_;
  SampleEvents events_;
  Progress progress_;
  uint64_t produced_ = 0;
  uint64_t delivered_ = 0;
  absl::Time delivered_at_ = absl::Now();
};

// Returns the number of partitions of the topic, which is created if the options say so.
absl::StatusOr<int32_t> PrepareTopic(const LogConfig& config, const Options& options) {
  absl::StatusOr<std::unique_ptr<LogClient>> client = LogClient::Create(config);
  if (!client.ok()) return client.status();
  const absl::Time deadline = absl::Now() + kKafkaTimeout;
  if (options.create_topic) {
    const absl::Status status =
        (*client)->CreateTopic(options.topic, options.partitions, options.replication, kKafkaTimeout);
    if (!status.ok()) return status;
  }
  absl::StatusOr<std::vector<int32_t>> counts = (*client)->PartitionCounts({options.topic}, deadline - absl::Now());
  if (absl::IsNotFound(counts.status())) {
    return absl::NotFoundError(
        fmt::format("topic {} does not exist on Kafka at {}; create it with --create-topic, or name another "
                    "with --topic",
                    options.topic, options.kafka));
  }
  if (!counts.ok()) return counts.status();
  return counts->front();
}

int Produce(const Options& options) {
  // Signals are blocked before librdkafka starts threads.
  BlockSignals();
  LogConfig config;
  config.brokers = options.kafka;
  const absl::StatusOr<int32_t> partitions = PrepareTopic(config, options);
  if (!partitions.ok()) return ReportKafkaError(partitions.status());
  absl::StatusOr<std::unique_ptr<LogWriter>> writer = LogWriter::Create(config, {});
  if (!writer.ok()) return ReportKafkaError(writer.status());

  const absl::Time start = absl::Now();
  std::optional<Production> production(std::in_place, options, *std::move(writer), *partitions);
  const absl::Status status = production->Run();
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  const uint64_t produced = production->produced();
  const uint64_t delivered = production->delivered();
  production.reset();
  if (!status.ok() && produced > 0) {
    return ReportKafkaError(
        absl::Status(status.code(), fmt::format("{}; topic {} has got at least {} and at most {} events",
                                                std::string(status.message()), options.topic, delivered, produced)));
  }
  if (!status.ok()) return ReportKafkaError(status);
  fmt::print(stderr, "produced {} events to {} in {:.1f} s ({:.0f}/s)\n", produced, options.topic, seconds,
             static_cast<double>(produced) / std::max(seconds, 0.001));
  return kExitOk;
}

std::string CheckPositive(const std::string& text) {
  return text.find_first_not_of('0') == std::string::npos ? "'" + text + "' must be at least 1" : "";
}

std::string CheckEvery(const std::string& text) {
  const absl::StatusOr<absl::Duration> every = ParseDuration(text);
  if (!every.ok()) return std::string(every.status().message());
  return *every > absl::ZeroDuration() ? "" : "'" + text + "' must be longer than nothing";
}

std::string CheckBurst(const std::string& text) {
  return ParseBurst(text)
             ? ""
             : fmt::format("'{}' is no burst: write LOW..HIGH, such as 0..50, with LOW <= HIGH <= {}", text, kMaxBurst);
}

std::string CheckRate(const std::string& text) {
  uint64_t rate = 0;
  return absl::SimpleAtoi(text, &rate) && rate > kMaxRate ? fmt::format("'{}' is over {}", text, kMaxRate) : "";
}

}  // namespace

void AddProduce(CLI::App* app, const CliGlobals*, RunVerb* run) {
  CLI::App* const verb = app->add_subcommand(
      "produce",
      "append sample events of a ready job to its topic, at random over the pages, until Ctrl-C or --count; by default\n"
      "those of popularity, pageID|clicks|minutes|like, a burst every few seconds as the forum's sample program makes them");
  const auto options = std::make_shared<Options>();
  verb->add_option("--kafka", options->kafka, "Kafka's brokers")
      ->type_name("HOST:PORT[,HOST:PORT]")
      ->check([](const std::string& text) { return CheckBrokers(text); });
  verb->add_option("--job", options->job, "the ready job that the events are for: " + ReadyJobNames())
      ->type_name("NAME")
      ->check(CheckReadyJob);
  verb->add_option("--topic", options->topic, "where the events go (default: where the job reads)")
      ->type_name("TOPIC")
      ->check([](const std::string& text) { return CheckTopicName(text); });
  CLI::Option* const create =
      verb->add_flag("--create-topic", options->create_topic, "create the topic if it does not exist");
  verb->add_option("--partitions", options->partitions, "partitions of a created topic")
      ->check(CheckPositive)
      ->needs(create);
  verb->add_option("--replication", options->replication, "replicas of a created topic")
      ->check(CheckPositive)
      ->needs(create);
  CLI::Option* const rate =
      verb->add_option("--rate", options->rate, "events a second, steadily; 0 for as fast as it goes")->check(CheckRate);
  verb->add_option("--every", options->every, "time from one burst to the next")
      ->type_name("DURATION")
      ->check(CheckEvery)
      ->excludes(rate);
  verb->add_option("--burst", options->burst, "events in a burst, at random from LOW to HIGH")
      ->type_name("LOW..HIGH")
      ->check(CheckBurst)
      ->excludes(rate);
  verb->add_option("--pages", options->pages, "pages that events fall on: page1 to pageN")->check(CheckPositive);
  verb->add_option("--count", options->count, "events to produce in all; 0 for no end");
  verb->add_option("--seed", options->seed, "equal seeds make equal events; at random if not given");
  verb->callback([options, run] {
    *run = [options] {
      JobSpec spec;
      CHECK(ReadJobSpec(FindReadyJob(options->job)->spec, &spec).empty()) << "ready job " << options->job;
      if (options->topic.empty()) options->topic = spec.source().topics(0);
      return Produce(*options);
    };
  });
}

}  // namespace tenfold
