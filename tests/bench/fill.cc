// bench-fill: makes a topic and fills it with events, deterministically. Commands come on stdin, a line each:
//   zipf COUNT KEYS EXPONENT    COUNT events over page0 to pageKEYS-1; exponent 0: all alike
//   range COUNT FIRST           an event for each of COUNT pages from pageFIRST on
//   delete                      deletes the topic
// and each is answered, once Kafka has it all, by a line of JSON: records, distinct keys and the exact top ten so far.
#include <array>
#include <iostream>
#include <sstream>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/time/clock.h"
#include "tests/bench/event_stream.h"
#include "tests/bench/topic_writer.h"

namespace tenfold::bench {
namespace {

class Filler {
 public:
  Filler(const TopicWriter::Options& options, uint64_t seed)
      : partitions_(static_cast<uint64_t>(options.partitions)), writer_(options), random_(seed) {}

  void Append(uint32_t page) {
    const Event event = Event::Draw(page, &random_);
    std::array<char, Event::kMaxBytes> text;
    const char* end = event.Format(text.data());
    writer_.Append(static_cast<int32_t>(sums_.records() % partitions_), {text.data(), end});
    sums_.Add(event);
    if (sums_.records() % 1024 == 0) writer_.Poll();
  }

  void Zipf(uint64_t count, uint32_t keys, double exponent) {
    const ZipfKeys draw(keys, exponent);
    for (uint64_t i = 0; i < count; ++i) Append(draw.Draw(&random_));
  }

  bool Do(const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    uint64_t count = 0;
    uint32_t pages = 0;
    double exponent = 0;
    words >> verb;
    if (verb == "delete") {
      writer_.Delete();
    } else if (verb == "zipf" && words >> count >> pages >> exponent && pages > 0) {
      Zipf(count, pages, exponent);
    } else if (verb == "range" && words >> count >> pages) {
      for (uint64_t i = 0; i < count; ++i) Append(pages + static_cast<uint32_t>(i));
    } else {
      std::cerr << "bench-fill: no such command: " << line << "\n";
      return false;
    }
    writer_.Flush();
    return true;
  }

  nlohmann::ordered_json Reference() const { return sums_.Reference(); }

 private:
  const uint64_t partitions_;
  TopicWriter writer_;
  Random random_;
  ExactSums sums_;
};

int Run(int argc, char** argv) {
  CLI::App app("Fills a new topic with events, by the commands on stdin.", "bench-fill");
  TopicWriter::Options options;
  uint64_t seed = 1;
  app.add_option("--kafka", options.brokers)->required();
  app.add_option("--topic", options.topic)->required();
  app.add_option("--partitions", options.partitions)->capture_default_str();
  app.add_option("--codec", options.codec)->capture_default_str();
  app.add_option("--seed", seed)->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  Filler filler(options, seed);
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
