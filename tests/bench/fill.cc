// bench-fill: makes a topic and fills it with events, deterministically. Commands come on stdin, a line each:
//   zipf COUNT KEYS EXPONENT    COUNT events over page0 to pageKEYS-1; exponent 0: all alike
//   range COUNT FIRST           an event for each of COUNT pages from pageFIRST on
//   probe FIRST                 lifts a page of each partition's own into the top ten: pageFIRST in partition 0, ...
//   live COUNT KEYS EXPONENT RATE
//                               like zipf, but RATE events a second, of which every 50th is a probe: it adds 1 to its
//                               partition's page of the last `probe`, so that the page's score tells which events are in it
//   delete                      deletes the topic
// and each is answered, once Kafka has it all, by a line of JSON: records, distinct keys and the exact top ten so far;
// `live` also by when its probes were made, in ms since 1970: {"probes": {"pageN": [T, ...], ...}}.
#include <algorithm>
#include <array>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/time/clock.h"
#include "tests/bench/event_stream.h"
#include "tests/bench/topic_writer.h"

namespace tenfold::bench {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(1);
// Prime to three, the usual number of partitions, so that each gets probes.
constexpr uint64_t kProbeEvery = 50;
// Adds 1.
constexpr uint32_t kProbeMinutesE7 = 12'500'000;
// Far above what any page has after minutes of `live`.
constexpr uint32_t kProbeClicks = 100'000'000;

class Filler {
 public:
  // With `countries` a record has a fifth field, the country that its page is of.
  Filler(const TopicWriter::Options& options, uint64_t seed, std::string records, uint32_t countries)
      : partitions_(static_cast<uint64_t>(options.partitions)),
        records_(std::move(records)),
        countries_(countries),
        writer_(options),
        random_(seed) {}

  void Append(const Event& event) {
    std::array<char, Event::kMaxJsonBytes> text;
    char* end = nullptr;
    if (records_ == "avro" || records_ == "protobuf") {
      end = std::ranges::copy(records_ == "avro" ? event.FormatAvro() : event.FormatProtobuf(), text.data()).out;
    } else {
      end = records_ == "json" ? event.FormatJson(text.data()) : event.Format(text.data());
    }
    if (countries_ > 0) {
      const std::string country = "|c" + std::to_string(event.page * uint64_t{2'654'435'761} % 1'000'003 % countries_);
      end = std::copy(country.begin(), country.end(), end);
    }
    writer_.Append(static_cast<int32_t>(sums_.records() % partitions_), {text.data(), end});
    sums_.Add(event);
    if (sums_.records() % 1024 == 0) writer_.Poll();
  }

  void Append(uint32_t page) { Append(Event::Draw(page, &random_)); }

  void Zipf(uint64_t count, uint32_t keys, double exponent) {
    const ZipfKeys draw(keys, exponent);
    for (uint64_t i = 0; i < count; ++i) Append(draw.Draw(&random_));
  }

  // The partition that the next event goes to.
  uint32_t NextPartition() const { return static_cast<uint32_t>(sums_.records() % partitions_); }

  void Probe(uint32_t first) {
    probe_first_ = first;
    probes_.assign(partitions_, {});
    for (uint64_t i = 0; i < partitions_; ++i) {
      Append(Event{.page = first + NextPartition(), .clicks = kProbeClicks, .minutes_e7 = 0, .like = 0});
    }
  }

  void Live(uint64_t count, uint32_t keys, double exponent, double rate) {
    const ZipfKeys draw(keys, exponent);
    const absl::Time start = absl::Now();
    for (uint64_t i = 0; i < count; ++i) {
      const absl::Time due = start + absl::Seconds(static_cast<double>(i) / rate);
      if (absl::Time now = absl::Now(); due > now + kTick) {
        writer_.Poll();
        absl::SleepFor(due - now);
      }
      if (i % kProbeEvery != 0) {
        Append(draw.Draw(&random_));
        continue;
      }
      const uint32_t partition = NextPartition();
      probes_[partition].push_back(absl::Now());
      Append(Event{.page = probe_first_ + partition, .clicks = 0, .minutes_e7 = kProbeMinutesE7, .like = 0});
    }
  }

  bool Do(const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    uint64_t count = 0;
    uint32_t pages = 0;
    double exponent = 0, rate = 0;
    words >> verb;
    if (verb == "delete") {
      writer_.Delete();
    } else if (verb == "zipf" && words >> count >> pages >> exponent && pages > 0) {
      Zipf(count, pages, exponent);
    } else if (verb == "range" && words >> count >> pages) {
      for (uint64_t i = 0; i < count; ++i) Append(pages + static_cast<uint32_t>(i));
    } else if (verb == "probe" && words >> pages) {
      Probe(pages);
    } else if (verb == "live" && words >> count >> pages >> exponent >> rate && pages > 0 && rate > 0 && !probes_.empty()) {
      Live(count, pages, exponent, rate);
    } else {
      std::cerr << "bench-fill: no such command: " << line << "\n";
      return false;
    }
    writer_.Flush();
    return true;
  }

  nlohmann::ordered_json Reference() const {
    nlohmann::ordered_json reference = sums_.Reference();
    for (uint32_t partition = 0; partition < probes_.size(); ++partition) {
      nlohmann::ordered_json& times = reference["probes"][PageName(probe_first_ + partition)] =
          nlohmann::ordered_json::array();
      for (const absl::Time time : probes_[partition]) times.push_back(static_cast<double>(absl::ToUnixMicros(time)) / 1000);
    }
    return reference;
  }

 private:
  const uint64_t partitions_;
  // Their format.
  const std::string records_;
  const uint32_t countries_;
  TopicWriter writer_;
  Random random_;
  ExactSums sums_;
  uint32_t probe_first_ = 0;
  // When they were made, by partition.
  std::vector<std::vector<absl::Time>> probes_;
};

int Run(int argc, char** argv) {
  CLI::App app("Fills a new topic with events, by the commands on stdin.", "bench-fill");
  TopicWriter::Options options;
  uint64_t seed = 1;
  app.add_option("--kafka", options.brokers)->required();
  app.add_option("--topic", options.topic)->required();
  app.add_option("--partitions", options.partitions)->capture_default_str();
  app.add_option("--codec", options.codec)->capture_default_str();
  app.add_option("--linger", options.linger_ms, "Milliseconds")->capture_default_str();
  app.add_option("--seed", seed)->capture_default_str();
  std::string records = "delimited";
  app.add_option("--records", records, "What they are in: delimited, json, avro, protobuf")
      ->check(CLI::IsMember({"delimited", "json", "avro", "protobuf"}));
  uint32_t countries = 0;
  app.add_option("--countries", countries, "Delimited records have a country, of so many");
  CLI11_PARSE(app, argc, argv);

  Filler filler(options, seed, records, countries);
  for (std::string line; std::getline(std::cin, line);) {
    const absl::Time start = absl::Now();
    if (!filler.Do(line)) return 1;
    nlohmann::ordered_json answer = filler.Reference();
    answer["seconds"] = absl::ToDoubleSeconds(absl::Now() - start);
    std::cout << answer.dump() << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace tenfold::bench

int main(int argc, char** argv) { return tenfold::bench::Run(argc, argv); }
