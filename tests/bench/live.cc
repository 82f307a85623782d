// bench-live: appends events to a new topic at a steady rate, follows the job that reads it, and prints as JSON how long it
// takes from an event's append to the first top ten that has it: to the batch's commit (`published_at`) and to its arrival
// here. The exact result is checked at the end, and the topic deleted. Once the topic is there it prints {"ready": true},
// and waits for a line on stdin to begin.
#include <algorithm>
#include <array>
#include <deque>
#include <iostream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/time/clock.h"
#include "common/number/units.h"
#include "jobs/cli/batch_client.h"
#include "tests/bench/event_stream.h"
#include "tests/bench/topic_writer.h"

namespace tenfold::bench {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(1);
// Connections are made and code is first run in this time, which does not count.
constexpr absl::Duration kWarmUp = absl::Seconds(2);
constexpr absl::Duration kLimit = absl::Seconds(60);

struct Options {
  CliGlobals globals;
  std::string job;
  uint64_t rate = 20'000;
  double seconds = 15;
  uint32_t pages = 1'000'000;
  TopicWriter::Options writer;

  uint64_t Total() const { return static_cast<uint64_t>(static_cast<double>(rate) * seconds); }
};

struct SeenBatch {
  BatchCommitted batch;
  absl::Time seen;
};

// The batches until one has all records; empty if the job ends before.
std::vector<SeenBatch> Follow(const Options& options) {
  BatchClient client(options.globals, options.job, nullptr);
  std::vector<SeenBatch> batches;
  for (absl::Time deadline = absl::Now() + absl::Seconds(options.seconds) + kLimit; absl::Now() < deadline;) {
    GetBatchReply reply;
    const BatchClient::Outcome outcome = client.Next(batches.size() + 1, absl::Seconds(1), &reply);
    if (outcome == BatchClient::Outcome::kFailed) break;
    if (outcome != BatchClient::Outcome::kBatch) continue;
    batches.push_back({reply.batch(), absl::Now()});
    if (reply.batch().records() == options.Total()) return batches;
  }
  return {};
}

// Times of the appends, each partition's by offset.
using AppendTimes = std::vector<std::deque<absl::Time>>;

class PacedProducer {
 public:
  explicit PacedProducer(Options options) : options_(std::move(options)), times_(Partitions()), pages_(options_.pages, 1.1) {
    options_.writer.on_delivered = [this](int32_t partition, int64_t offset, void* opaque) {
      const auto p = static_cast<size_t>(partition);
      if (times_[p].size() <= static_cast<size_t>(offset)) times_[p].resize(static_cast<size_t>(offset) + 1);
      times_[p][static_cast<size_t>(offset)] = appended_[reinterpret_cast<uintptr_t>(opaque)];
    };
    writer_.emplace(options_.writer);
  }

  void Run() {
    const uint64_t total = options_.Total();
    const absl::Time start = absl::Now();
    for (absl::Time tick = start; appended_.size() < total; tick += kTick) {
      absl::SleepFor(tick - absl::Now());
      const auto due = static_cast<uint64_t>(absl::ToDoubleSeconds(tick - start) * static_cast<double>(options_.rate));
      while (appended_.size() < std::min(due, total)) Append();
      writer_->Poll();
    }
    writer_->Flush();
  }

  void DeleteTopic() { writer_->Delete(); }

  const ExactSums& sums() const { return sums_; }
  const AppendTimes& times() const { return times_; }

 private:
  size_t Partitions() const { return static_cast<size_t>(options_.writer.partitions); }

  void Append() {
    const Event event = Event::Draw(pages_.Draw(&random_), &random_);
    std::array<char, Event::kMaxBytes> text;
    const char* end = event.Format(text.data());
    const size_t index = appended_.size();
    sums_.Add(event);
    appended_.push_back(absl::Now());
    writer_->Append(static_cast<int32_t>(index % Partitions()), {text.data(), end}, reinterpret_cast<void*>(index));
  }

  Options options_;
  AppendTimes times_;
  const ZipfKeys pages_;
  Random random_{1};
  ExactSums sums_;
  std::deque<absl::Time> appended_;
  // Last: its callbacks use the others.
  std::optional<TopicWriter> writer_;
};

nlohmann::ordered_json Percentiles(std::vector<double> values_ms) {
  std::sort(values_ms.begin(), values_ms.end());
  const auto at = [&](double share) {
    return values_ms[static_cast<size_t>(share * static_cast<double>(values_ms.size() - 1))];
  };
  return {{"p50", at(0.5)}, {"p99", at(0.99)}, {"max", at(1)}};
}

nlohmann::ordered_json Latencies(const std::vector<SeenBatch>& batches, const AppendTimes& times) {
  std::vector<double> published_ms, seen_ms;
  const absl::Time counted_from = times[0].front() + kWarmUp;
  for (size_t p = 0; p < times.size(); ++p) {
    size_t next = 0;
    for (const SeenBatch& batch : batches) {
      const absl::Time published = absl::FromUnixMicros(batch.batch.published_at_us());
      for (; next < static_cast<size_t>(batch.batch.next_offsets(static_cast<int>(p))); ++next) {
        if (times[p][next] < counted_from) continue;
        published_ms.push_back(absl::ToDoubleMilliseconds(published - times[p][next]));
        seen_ms.push_back(absl::ToDoubleMilliseconds(batch.seen - times[p][next]));
      }
    }
  }
  return {{"published_ms", Percentiles(std::move(published_ms))}, {"seen_ms", Percentiles(std::move(seen_ms))}};
}

nlohmann::ordered_json TopOf(const BatchCommitted& batch) {
  nlohmann::ordered_json top = nlohmann::ordered_json::array();
  for (const Entry& entry : batch.top()) {
    top.push_back({{"key", entry.key()}, {"score", FormatUnits(FromProto(entry.sum()))}});
  }
  return top;
}

int Run(int argc, char** argv) {
  Options options;
  options.writer.linger_ms = 1;
  CLI::App app("Measures the time from an event to the top ten that has it.", "bench-live");
  app.add_option("--kafka", options.writer.brokers)->required();
  app.add_option("--topic", options.writer.topic)->required();
  app.add_option("--driver", options.globals.driver)->required();
  app.add_option("--job", options.job)->required();
  app.add_option("--rate", options.rate, "Events a second")->capture_default_str();
  app.add_option("--seconds", options.seconds)->capture_default_str()->check(CLI::Range(4.0, 3600.0));
  app.add_option("--partitions", options.writer.partitions)->capture_default_str()->check(CLI::Range(1, 10'000));
  app.add_option("--pages", options.pages, "Keys, Zipf 1.1")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  PacedProducer producer(options);
  std::cout << R"({"ready": true})" << std::endl;
  std::string line;
  std::getline(std::cin, line);

  std::vector<SeenBatch> batches;
  std::thread follower([&] { batches = Follow(options); });
  producer.Run();
  follower.join();
  if (batches.empty()) {
    std::cerr << "bench-live: the job did not keep up\n";
    return 1;
  }
  const nlohmann::ordered_json reference = producer.sums().Reference();
  const BatchCommitted& last = batches.back().batch;
  if (TopOf(last) != reference["top"] || last.bad_records() != 0) {
    std::cerr << "bench-live: the result is wrong: " << TopOf(last) << ", not " << reference["top"] << "\n";
    return 1;
  }
  nlohmann::ordered_json answer = Latencies(batches, producer.times());
  producer.DeleteTopic();
  answer["batches"] = batches.size();
  answer["records"] = last.records();
  std::cout << answer.dump() << std::endl;
  return 0;
}

}  // namespace
}  // namespace tenfold::bench

int main(int argc, char** argv) { return tenfold::bench::Run(argc, argv); }
