// bench-merge: the production merge (worker and driver parts of it) over many simulated workers in one process, no network:
// how many rounds, entries and bytes a worker the exact top ten takes, and how long the driver is busy. `spread` records go
// to any worker, `keyed` ones to the worker of their key. A case is a first batch, and small ones after it, which as a rule
// leave the top ten as it is. Prints a line of JSON for the first three, for those that are merged in another way than the
// one before, and for the last. Bytes are those of the merge's part of requests and replies. Exits 1 if a result is not the
// exact one.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/time/clock.h"
#include "driver/merge/batch_merge.h"
#include "glog/logging.h"
#include "tests/bench/event_stream.h"
#include "worker.pb.h"
#include "worker/fold/delta_table.h"
#include "worker/totals/partial_sums.h"

namespace tenfold::bench {
namespace {

constexpr size_t kTop = 10;
constexpr uint64_t kEventsAKey = 10;
// Of a batch after the first.
constexpr uint64_t kNextEvents = 1000;

struct Case {
  uint32_t workers = 0;
  uint32_t keys = 0;
  double exponent = 0;
  bool keyed = false;

  nlohmann::ordered_json Line() const {
    return {{"workers", workers}, {"keys", keys}, {"zipf", exponent}, {"spread", keyed ? "keyed" : "spread"}};
  }
};

void CheckOk(const absl::Status& status) { CHECK(status.ok()) << status; }

// The production merge and the production workers' answers, with every message between them measured.
class SimulatedMerge {
 public:
  SimulatedMerge(const Case& shape, int batches)
      : shape_(shape),
        batches_(batches),
        draw_(shape.keys, shape.exponent),
        random_(shape.workers * 2 + (shape.keyed ? 1 : 0)) {
    for (uint32_t w = 0; w < shape.workers; ++w) {
      workers_.push_back(std::make_unique<Worker>());
      sources_.push_back({.worker = std::to_string(w)});
    }
    for (uint32_t page = 0; page < shape_.keys; ++page) pages_.push_back(PageName(page));
  }

  // One batch; false if its result is wrong.
  bool Run(uint64_t events) {
    ++batch_;
    busy_ = absl::ZeroDuration();
    const bool by_changes = merge_.by_changes();
    Timed([&] { merge_.Begin(sources_); });
    Fold(events);
    bool all = false;
    Timed([&] { CheckOk(merge_.Take(Replies())); });
    for (std::vector<BatchMerge::Question> questions = Next(); !questions.empty(); questions = Next()) {
      for (const BatchMerge::Question& question : questions) {
        all |= by_changes && question.request.has_range();
        Answer(question);
      }
    }
    const GlobalTopK::Result& result = merge_.result();
    std::vector<std::string> top;
    for (const GlobalTopK::Partial& entry : result.top) top.push_back(entry.key);
    const char* const kind = !by_changes ? "thresholds" : all ? "all entries" : "changes";
    if (batch_ <= 3 || batch_ == batches_ || kind_ != kind) Print(kind, result, top == top_);
    top_ = std::move(top);
    kind_ = kind;
    return IsExact(result);
  }

 private:
  struct Worker {
    PartialSums sums{{}};
    FoldReply reply;
    // To and from it, in this batch.
    uint64_t bytes = 0;
  };

  static PartialSums::Composition CompositionAt(int batch) {
    PartialSums::Composition composition;
    PartitionOffset* offset = composition.Add();
    offset->set_partition(1);
    offset->set_next_offset(1'000'000 + batch);
    return composition;
  }

  // Every worker folds its events and replies.
  void Fold(uint64_t events) {
    std::vector<DeltaTable> tables(workers_.size());
    for (uint64_t i = 0; i < events; ++i) {
      const Event event = Event::Draw(draw_.Draw(&random_), &random_);
      const uint32_t worker = shape_.keyed ? event.page % shape_.workers : random_.Below(shape_.workers);
      tables[worker].Add(pages_[event.page], event.Contribution());
      sums_.Add(event);
    }
    changed_ = 0;
    for (size_t w = 0; w < workers_.size(); ++w) {
      Worker& worker = *workers_[w];
      FoldRequest request;
      Timed([&] { merge_.Quote(w, &request); });
      worker.sums.Quote(request, CompositionAt(batch_ - 1));
      const std::vector<Delta> deltas = tables[w].Deltas();
      const std::span<const Delta> shard = deltas;
      CheckOk(worker.sums.Add(std::span(&shard, 1)));
      worker.reply = FoldReply();
      *worker.reply.mutable_composition() = CompositionAt(batch_);
      worker.reply.set_changed_keys(deltas.size());
      worker.reply.set_keys(worker.sums.KeyCount());
      CheckOk(worker.sums.Answer(request, &worker.reply));
      Timed([&] { CheckOk(merge_.CheckReply(w, worker.reply)); });
      worker.bytes = request.ByteSizeLong() + worker.reply.ByteSizeLong();
      changed_ += deltas.size();
    }
  }

  std::vector<const FoldReply*> Replies() const {
    std::vector<const FoldReply*> replies;
    for (const std::unique_ptr<Worker>& worker : workers_) replies.push_back(&worker->reply);
    return replies;
  }

  std::vector<BatchMerge::Question> Next() {
    std::vector<BatchMerge::Question> questions;
    Timed([&] { questions = merge_.Next(); });
    return questions;
  }

  void Answer(const BatchMerge::Question& question) {
    Worker& worker = *workers_[question.worker];
    const absl::StatusOr<LookUpReply> reply = worker.sums.LookUp(question.request);
    CheckOk(reply.status());
    worker.bytes += question.request.ByteSizeLong() + reply->ByteSizeLong();
    Timed([&] { CheckOk(merge_.Answer(question.worker, *reply)); });
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

  void Print(const char* kind, const GlobalTopK::Result& result, bool same_keys) const {
    uint64_t bytes = 0;
    uint64_t max_bytes = 0;
    for (const std::unique_ptr<Worker>& worker : workers_) {
      bytes += worker->bytes;
      max_bytes = std::max(max_bytes, worker->bytes);
    }
    const double workers = shape_.workers;
    nlohmann::ordered_json line = shape_.Line();
    line["batch"] = batch_;
    line["changed_keys_per_worker"] = static_cast<double>(changed_) / workers;
    line["merge"] = kind;
    line["same_keys"] = same_keys;
    line["rounds"] = result.rounds;
    line["entries_per_worker"] = static_cast<double>(result.entries) / workers;
    line["bytes_per_worker"] = static_cast<double>(bytes) / workers;
    line["max_bytes_per_worker"] = max_bytes;
    line["driver_ms"] = absl::ToDoubleMilliseconds(busy_);
    std::cout << line.dump() << std::endl;
  }

  const Case shape_;
  const int batches_;
  const ZipfKeys draw_;
  Random random_;
  std::vector<std::string> pages_;
  ExactSums sums_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<MergeSource> sources_;
  BatchMerge merge_{{.top = kTop, .memory = std::make_shared<MergeMemory>()}};
  int batch_ = 0;
  // Keys that the last batch added to, over all workers.
  uint64_t changed_ = 0;
  absl::Duration busy_;
  // The keys of the batch before, and how it was merged.
  std::vector<std::string> top_;
  std::string_view kind_;
};

// In a process of its own with bounded memory; if that is not enough, it is the case's result.
bool RunCase(const Case& shape, int batches, uint64_t memory_gib) {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit limit{memory_gib << 30, memory_gib << 30};
    setrlimit(RLIMIT_AS, &limit);
    try {
      SimulatedMerge merge(shape, batches);
      bool exact = true;
      for (int batch = 0; batch < batches; ++batch) {
        exact = merge.Run(batch == 0 ? shape.keys * kEventsAKey : kNextEvents) && exact;
      }
      _exit(exact ? 0 : 1);
    } catch (const std::bad_alloc&) {
      _exit(2);
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 2) {
    nlohmann::ordered_json line = shape.Line();
    line["merge"] = "needs over " + std::to_string(memory_gib) + " GiB";
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
  int batches = 13;
  app.add_option("--batches", batches)->check(CLI::Range(1, 1'000'000))->capture_default_str();
  uint32_t hot_keys = 200'000;
  app.add_option("--hot-keys", hot_keys, "Equally hot ones over 100 workers, as the last case; 0: none")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  bool exact = true;
  for (const double exponent : exponents) {
    for (const uint32_t count : workers) {
      for (const bool keyed : {false, true}) {
        exact = RunCase({count, keys, exponent, keyed}, batches, memory_gib) && exact;
      }
    }
  }
  if (hot_keys > 0) exact = RunCase({100, hot_keys, 0, false}, batches, memory_gib) && exact;
  return exact ? 0 : 1;
}

}  // namespace
}  // namespace tenfold::bench

int main(int argc, char** argv) { return tenfold::bench::Run(argc, argv); }
