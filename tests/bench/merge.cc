// bench-merge: the production merge (worker/totals and driver/global_top_k) over many simulated workers in one process, no
// network: how many rounds, entries and bytes a worker the exact top ten takes, and how long the driver is busy. `spread`
// records go to any worker, `keyed` ones to the worker of their key. Prints a line of JSON for each case and for a small
// batch after it, which as a rule leaves the top ten as it is. Exits 1 if a result is not the exact one.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/time/clock.h"
#include "common/limits.h"
#include "driver/global_top_k.h"
#include "tests/bench/event_stream.h"
#include "worker.pb.h"
#include "worker/totals.h"

namespace tenfold::bench {
namespace {

constexpr size_t kTop = 10;
constexpr size_t kDepth = 2 * kTop;
// As worker/worker_job has it.
constexpr size_t kMaxReplyEntries = kMaxMessageBytes / 2 / kMaxKeyBytes;
constexpr uint64_t kEventsAKey = 10;
// Fewer events in the batch after: a key in a thousand has one more.
constexpr uint64_t kNextBatchShare = 10'000;

struct Case {
  uint32_t workers = 0;
  uint32_t keys = 0;
  double exponent = 0;
  bool keyed = false;
};

void AddEntry(std::string_view key, Units sum, google::protobuf::RepeatedPtrField<Entry>* entries) {
  Entry* entry = entries->Add();
  entry->set_key(key.data(), key.size());
  *entry->mutable_sum() = ToProto(sum);
}

std::vector<GlobalTopK::Partial> Partials(const google::protobuf::RepeatedPtrField<Entry>& entries) {
  std::vector<GlobalTopK::Partial> partials;
  partials.reserve(static_cast<size_t>(entries.size()));
  for (const Entry& entry : entries) partials.push_back({entry.key(), FromProto(entry.sum())});
  return partials;
}

class SimulatedMerge {
 public:
  explicit SimulatedMerge(const Case& shape)
      : shape_(shape),
        draw_(shape.keys, shape.exponent),
        random_(shape.workers * 2 + (shape.keyed ? 1 : 0)),
        totals_(shape.workers),
        thresholds_(shape.workers),
        bytes_(shape.workers) {}

  void AddEvents(uint64_t count) {
    std::vector<std::string> pages(shape_.keys);
    for (uint32_t page = 0; page < shape_.keys; ++page) pages[page] = PageName(page);
    for (uint64_t i = 0; i < count; ++i) {
      const Event event = Event::Draw(draw_.Draw(&random_), &random_);
      const uint32_t worker = shape_.keyed ? event.page % shape_.workers : random_.Below(shape_.workers);
      totals_[worker].Add(pages[event.page], 1, event.Contribution());
      sums_.Add(event);
    }
  }

  // One batch's merge; false if it is wrong.
  bool Merge(const char* batch) {
    busy_ = absl::ZeroDuration();
    std::fill(bytes_.begin(), bytes_.end(), 0);
    GlobalTopK merge(kTop, totals_.size());
    for (size_t w = 0; w < totals_.size(); ++w) Reply(w, &merge);
    for (std::vector<GlobalTopK::Question> questions = Questions(&merge); !questions.empty();
         questions = Questions(&merge)) {
      for (const GlobalTopK::Question& question : questions) Answer(question, &merge);
    }
    const GlobalTopK::Result& result = merge.result();
    thresholds_ = result.next_thresholds;
    std::vector<std::string> top;
    for (const GlobalTopK::Partial& entry : result.top) top.push_back(entry.key);
    Print(batch, result, top == top_);
    top_ = std::move(top);
    return IsExact(result);
  }

 private:
  // The answer to a fold: what worker/worker_job sends of it, and what the driver does with it.
  void Reply(size_t worker, GlobalTopK* merge) {
    FoldRequest request;
    if (thresholds_[worker]) *request.mutable_threshold() = ToProto(*thresholds_[worker]);
    const Totals::Top top = totals_[worker].Highest(kDepth, thresholds_[worker], kMaxReplyEntries);
    FoldReply reply;
    for (const TotalEntry& entry : top.entries) AddEntry(entry.key, entry.sum, reply.mutable_entries());
    if (top.floor) *reply.mutable_floor() = ToProto(*top.floor);
    bytes_[worker] += request.ByteSizeLong() + reply.ByteSizeLong();
    Timed([&] { merge->AddReply(worker, Partials(reply.entries()), top.floor); });
  }

  void Answer(const GlobalTopK::Question& question, GlobalTopK* merge) {
    const Totals& totals = totals_[question.worker];
    LookUpRequest request;
    LookUpReply reply;
    for (const std::string_view key : question.keys) {
      request.add_keys(key.data(), key.size());
      if (const std::optional<Units> sum = totals.Find(key)) AddEntry(key, *sum, reply.mutable_found());
    }
    if (question.at_or_above) {
      *request.mutable_at_or_above() = ToProto(*question.at_or_above);
      std::vector<TotalEntry> entries;
      uint64_t from = 0;
      do {
        from = totals.AtOrAbove(*question.at_or_above, from, kMaxMessageBytes / 4, &entries);
      } while (from != 0);
      for (const TotalEntry& entry : entries) AddEntry(entry.key, entry.sum, reply.mutable_at_or_above());
    }
    bytes_[question.worker] += request.ByteSizeLong() + reply.ByteSizeLong();
    Timed([&] { merge->AddAnswer(question.worker, Partials(reply.found()), Partials(reply.at_or_above())); });
  }

  std::vector<GlobalTopK::Question> Questions(GlobalTopK* merge) {
    std::vector<GlobalTopK::Question> questions;
    Timed([&] { questions = merge->Next(); });
    return questions;
  }

  template <typename Work>
  void Timed(const Work& work) {
    const absl::Time start = absl::Now();
    work();
    busy_ += absl::Now() - start;
  }

  bool IsExact(const GlobalTopK::Result& result) const {
    nlohmann::ordered_json top = nlohmann::ordered_json::array();
    for (const GlobalTopK::Partial& entry : result.top)
      top.push_back({{"key", entry.key}, {"score", FormatUnits(entry.sum)}});
    const nlohmann::ordered_json reference = sums_.Reference()["top"];
    if (top == reference) return true;
    std::cerr << "bench-merge: the result is wrong: " << top << ", not " << reference << "\n";
    return false;
  }

  void Print(const char* batch, const GlobalTopK::Result& result, bool same_keys) const {
    uint64_t bytes = 0;
    for (const uint64_t of_worker : bytes_) bytes += of_worker;
    const double workers = shape_.workers;
    const nlohmann::ordered_json line = {{"workers", shape_.workers},
                                         {"zipf", shape_.exponent},
                                         {"spread", shape_.keyed ? "keyed" : "spread"},
                                         {"batch", batch},
                                         {"same_keys", same_keys},
                                         {"rounds", result.rounds},
                                         {"entries_per_worker", static_cast<double>(result.entries) / workers},
                                         {"bytes_per_worker", static_cast<double>(bytes) / workers},
                                         {"driver_ms", absl::ToDoubleMilliseconds(busy_)}};
    std::cout << line.dump() << std::endl;
  }

  const Case shape_;
  const ZipfKeys draw_;
  Random random_;
  ExactSums sums_;
  std::vector<Totals> totals_;
  std::vector<std::optional<Units>> thresholds_;
  // To and from each worker, in this batch.
  std::vector<uint64_t> bytes_;
  absl::Duration busy_;
  // The keys of the batch before.
  std::vector<std::string> top_;
};

// In a process of its own with bounded memory: very many equally hot keys over very many workers take more than there is,
// which is then the case's result.
bool RunCase(const Case& shape, uint64_t memory_gib) {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit limit{memory_gib << 30, memory_gib << 30};
    setrlimit(RLIMIT_AS, &limit);
    try {
      SimulatedMerge merge(shape);
      merge.AddEvents(shape.keys * kEventsAKey);
      bool exact = merge.Merge("first");
      merge.AddEvents(shape.keys * kEventsAKey / kNextBatchShare);
      exact = merge.Merge("next") && exact;
      _exit(exact ? 0 : 1);
    } catch (const std::bad_alloc&) {
      _exit(2);
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
    const nlohmann::ordered_json line = {{"workers", shape.workers},
                                         {"zipf", shape.exponent},
                                         {"spread", shape.keyed ? "keyed" : "spread"},
                                         {"batch", "needs over " + std::to_string(memory_gib) + " GiB"}};
    std::cout << line.dump() << std::endl;
    return true;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int Run(int argc, char** argv) {
  CLI::App app("Merges the top ten of many simulated workers.", "bench-merge");
  uint32_t keys = 1'000'000;
  std::vector<uint32_t> workers = {4, 32, 100, 1000};
  uint64_t memory_gib = 6;
  std::vector<double> exponents = {1.1, 0.8, 0.5, 0};
  app.add_option("--keys", keys)->capture_default_str();
  app.add_option("--workers", workers)->delimiter(',')->capture_default_str();
  app.add_option("--zipf", exponents, "Exponents; 0 is flat")->delimiter(',')->capture_default_str();
  app.add_option("--memory", memory_gib, "GiB a case may take")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  bool exact = true;
  for (const double exponent : exponents) {
    for (const uint32_t count : workers) {
      for (const bool keyed : {false, true}) {
        exact = RunCase({count, keys, exponent, keyed}, memory_gib) && exact;
      }
    }
  }
  return exact ? 0 : 1;
}

}  // namespace
}  // namespace tenfold::bench

int main(int argc, char** argv) { return tenfold::bench::Run(argc, argv); }
