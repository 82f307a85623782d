// bench-baseline: what Tenfold's throughput is measured against. Prints a line of JSON: records, seconds from the first
// fetch to the end, CPU seconds of all its processes and, of `sum`, the top ten.
//   read    B0: one process reads the topic into nothing
//   wire    the same by the reader of a worker
//   sum     B2: two processes, half of the records each, split records and sum doubles into a hash map, without any
//           durability; their maps are merged at the end. What one writes in an afternoon.
//   floor   B3: as B2, but tuned: one process, with a consumer, a thread and a map of its own for each partition, and
//           fetches no larger than what a cache holds. Nothing over librdkafka does less.
// --ahead RECORDS is how many wait in librdkafka's queue at most: so many that it is never full, as is often advised, or
// fewer, which spares new memory.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/container/flat_hash_map.h"
#include "absl/time/clock.h"
#include "common/kafka/log.h"
#include "glog/logging.h"
#include "nlohmann/json.hpp"
#include "tests/bench/raw_reader.h"

namespace tenfold::bench {
namespace {

constexpr size_t kTop = 10;

using Sums = absl::flat_hash_map<std::string, double>;

double Number(std::string_view text) {
  double value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

void AddRecord(std::string_view record, Sums* sums) {
  std::array<std::string_view, 4> fields;
  for (std::string_view& field : fields) {
    const void* bar = record.empty() ? nullptr : std::memchr(record.data(), '|', record.size());
    const size_t length =
        bar == nullptr ? record.size() : static_cast<size_t>(static_cast<const char*>(bar) - record.data());
    field = record.substr(0, length);
    record.remove_prefix(std::min(record.size(), length + 1));
  }
  const double score = 0.8 * Number(fields[1]) + 0.8 * Number(fields[2]) + Number(fields[3]);
  // Without a copy of the key where it is known.
  const absl::string_view key(fields[0].data(), fields[0].size());
  if (const auto found = sums->find(key); found != sums->end()) {
    found->second += score;
  } else {
    sums->emplace(key, score);
  }
}

// The halves: partition by partition, the last of an odd number of them cut in the middle.
std::array<std::vector<RawRange>, 2> Halves(const std::vector<RawRange>& all) {
  std::array<std::vector<RawRange>, 2> halves;
  const size_t whole = all.size() / 2 * 2;
  for (size_t i = 0; i < whole; ++i) halves[i % 2].push_back(all[i]);
  for (size_t i = whole; i < all.size(); ++i) {
    const int64_t middle = all[i].begin + (all[i].end - all[i].begin) / 2;
    halves[0].push_back({all[i].partition, all[i].begin, middle});
    halves[1].push_back({all[i].partition, middle, all[i].end});
  }
  return halves;
}

// A child's answer: records, then the sums, each a length, a key and a double.
void Send(uint64_t records, const Sums& sums, FILE* out) {
  fwrite(&records, sizeof(records), 1, out);
  for (const auto& [key, sum] : sums) {
    const size_t length = key.size();
    fwrite(&length, sizeof(length), 1, out);
    fwrite(key.data(), 1, length, out);
    fwrite(&sum, sizeof(sum), 1, out);
  }
  fclose(out);
}

uint64_t Receive(FILE* in, Sums* sums) {
  uint64_t records = 0;
  if (fread(&records, sizeof(records), 1, in) != 1) return 0;
  std::string key;
  for (size_t length = 0; fread(&length, sizeof(length), 1, in) == 1;) {
    key.resize(length);
    double sum = 0;
    if (fread(key.data(), 1, length, in) != length || fread(&sum, sizeof(sum), 1, in) != 1) return 0;
    (*sums)[key] += sum;
  }
  fclose(in);
  return records;
}

nlohmann::ordered_json Top(const Sums& sums) {
  std::vector<std::pair<double, std::string_view>> best;
  for (const auto& [key, sum] : sums) best.emplace_back(-sum, key);
  const size_t count = std::min(kTop, best.size());
  std::partial_sort(best.begin(), best.begin() + static_cast<ptrdiff_t>(count), best.end());
  nlohmann::ordered_json top = nlohmann::ordered_json::array();
  for (size_t i = 0; i < count; ++i) top.push_back({{"key", best[i].second}, {"score", -best[i].first}});
  return top;
}

nlohmann::ordered_json SumInTwo(const std::string& brokers, const std::string& topic, const std::vector<RawRange>& all,
                                const RawQueue& size) {
  std::array<FILE*, 2> answers{};
  const std::array<std::vector<RawRange>, 2> halves = Halves(all);
  for (size_t i = 0; i < 2; ++i) {
    std::array<int, 2> ends;
    if (pipe(ends.data()) != 0) std::abort();
    if (fork() == 0) {
      close(ends[0]);
      Sums sums;
      const uint64_t read =
          ReadRanges(brokers, topic, halves[i], size, [&](std::string_view value) { AddRecord(value, &sums); });
      Send(read, sums, fdopen(ends[1], "w"));
      _exit(0);
    }
    close(ends[1]);
    answers[i] = fdopen(ends[0], "r");
  }
  Sums sums;
  uint64_t records = 0;
  for (FILE* answer : answers) records += Receive(answer, &sums);
  while (wait(nullptr) > 0) continue;
  return {{"records", records}, {"top", Top(sums)}};
}

nlohmann::ordered_json SumByPartition(const std::string& brokers, const std::string& topic, const std::vector<RawRange>& all,
                                      const RawQueue& size) {
  std::vector<Sums> parts(all.size());
  std::atomic<uint64_t> records = 0;
  {
    std::vector<std::jthread> threads;
    for (size_t i = 0; i < all.size(); ++i) {
      threads.emplace_back([&, i] {
        records += ReadRanges(brokers, topic, {all[i]}, size, [&](std::string_view value) { AddRecord(value, &parts[i]); });
      });
    }
  }
  for (size_t i = 1; i < parts.size(); ++i) {
    for (const auto& [key, sum] : parts[i]) parts[0][key] += sum;
  }
  return {{"records", records.load()}, {"top", Top(parts[0])}};
}

nlohmann::ordered_json ReadByWire(const std::string& brokers, const std::string& topic, const std::vector<RawRange>& all) {
  LogConfig config;
  config.brokers = brokers;
  config.reader = ReaderChoice::kAuto;
  const std::unique_ptr<LogReader> reader = LogReader::Create(config).value();
  std::vector<LogReader::Start> starts;
  std::vector<int64_t> ends;
  uint64_t left = 0;
  for (const RawRange& range : all) {
    starts.push_back({.partition = {topic, range.partition}, .offset = range.begin});
    ends.push_back(range.end);
    left += static_cast<uint64_t>(range.end - range.begin);
  }
  CHECK(reader->Assign(starts).ok());
  CHECK(reader->WhyRdkafka().empty()) << reader->WhyRdkafka();
  reader->ReadUpTo(ends);
  uint64_t records = 0;
  uint64_t bytes = 0;
  std::vector<LogRecord> read;
  std::vector<LogReader::Event> events;
  while (records < left) {
    read.clear();
    events.clear();
    const absl::Status status = reader->Poll(absl::Seconds(10), &read, &events);
    CHECK(status.ok()) << status;
    for (const LogRecord& record : read) bytes += record.value.size();
    records += read.size();
  }
  return {{"records", records}, {"bytes", bytes}};
}

double CpuSeconds(int who) {
  rusage usage{};
  getrusage(who, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

int Run(int argc, char** argv) {
  CLI::App app("Reads a topic as the baselines of the benchmark do.", "bench-baseline");
  std::string brokers, topic, kind;
  RawQueue size;
  app.add_option("--kafka", brokers)->required();
  app.add_option("--topic", topic)->required();
  app.add_option("KIND", kind)->required()->check(CLI::IsMember({"read", "wire", "sum", "floor"}));
  app.add_option("--ahead", size.ahead, "Records in librdkafka's queue")
      ->check(CLI::Range(3, 1'000'000))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  // librdkafka's threads do not survive a fork, so a process asks for the ends and is gone before the clock starts.
  std::array<int, 2> pipe_ends;
  if (pipe(pipe_ends.data()) != 0) return 1;
  if (fork() == 0) {
    const std::vector<RawRange> ranges = WholeTopic(brokers, topic);
    const ssize_t written = write(pipe_ends[1], ranges.data(), ranges.size() * sizeof(RawRange));
    _exit(written > 0 ? 0 : 1);
  }
  close(pipe_ends[1]);
  std::vector<RawRange> ranges;
  for (RawRange range; read(pipe_ends[0], &range, sizeof(range)) == static_cast<ssize_t>(sizeof(range));)
    ranges.push_back(range);
  wait(nullptr);
  if (ranges.empty()) return 1;

  const double before = CpuSeconds(RUSAGE_SELF) + CpuSeconds(RUSAGE_CHILDREN);
  const absl::Time start = absl::Now();
  nlohmann::ordered_json answer;
  if (kind == "read") {
    uint64_t bytes = 0;
    const uint64_t records =
        ReadRanges(brokers, topic, ranges, size, [&](std::string_view value) { bytes += value.size(); });
    answer = {{"records", records}, {"bytes", bytes}};
  } else if (kind == "wire") {
    answer = ReadByWire(brokers, topic, ranges);
  } else if (kind == "sum") {
    answer = SumInTwo(brokers, topic, ranges, size);
  } else {
    size.fetch_bytes = 1 << 20;
    answer = SumByPartition(brokers, topic, ranges, size);
  }
  answer["seconds"] = absl::ToDoubleSeconds(absl::Now() - start);
  answer["cpu_seconds"] = CpuSeconds(RUSAGE_SELF) + CpuSeconds(RUSAGE_CHILDREN) - before;
  std::cout << answer.dump() << std::endl;
  std::_Exit(0);
}

}  // namespace
}  // namespace tenfold::bench

int main(int argc, char** argv) { return tenfold::bench::Run(argc, argv); }
