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
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/time/clock.h"
#include "common/key_slice.h"
#include "common/limits.h"
#include "common/totals.h"
#include "driver/global_top_k.h"
#include "driver/known_entries.h"
#include "driver/merge_choice.h"
#include "driver/total_replica.h"
#include "glog/logging.h"
#include "tests/bench/event_stream.h"
#include "worker.pb.h"
#include "worker/delta_table.h"
#include "worker/kept_changes.h"

namespace tenfold::bench {
namespace {

constexpr size_t kTop = 10;
constexpr size_t kDepth = 2 * kTop;
// As worker/worker_job has it.
constexpr size_t kMaxReplyEntries = kMaxMessageBytes / 2 / kMaxKeyBytes;
constexpr size_t kPartBytes = kMaxMessageBytes / 4;
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
  SimulatedMerge(const Case& shape, int batches)
      : shape_(shape),
        batches_(batches),
        draw_(shape.keys, shape.exponent),
        random_(shape.workers * 2 + (shape.keyed ? 1 : 0)),
        workers_(shape.workers) {
    known_.Begin(shape.workers);
    for (uint32_t page = 0; page < shape_.keys; ++page) pages_.push_back(PageName(page));
  }

  void Fold(uint64_t events) {
    std::vector<DeltaTable> tables(workers_.size());
    for (uint64_t i = 0; i < events; ++i) {
      const Event event = Event::Draw(draw_.Draw(&random_), &random_);
      const uint32_t worker = shape_.keyed ? event.page % shape_.workers : random_.Below(shape_.workers);
      tables[worker].Add(pages_[event.page], event.Contribution());
      sums_.Add(event);
    }
    changed_ = keys_ = 0;
    for (size_t w = 0; w < workers_.size(); ++w) {
      Worker& worker = workers_[w];
      FoldRequest request;
      if (worker.threshold) *request.mutable_threshold() = ToProto(*worker.threshold);
      if (replica_ == nullptr) known_.Quote(w, &request);
      if (replica_ != nullptr && replica_->PartOf(w) != nullptr) *request.mutable_since() = *replica_->PartOf(w);
      worker.bytes = request.ByteSizeLong();
      worker.kept.Quote(request.since(), CompositionAt(batch_));
      const std::vector<Delta> deltas = tables[w].Deltas();
      worker.totals.Add(deltas);
      worker.kept.Add(deltas);
      worker.changed = deltas.size();
      worker.known_at_or_above.reset();
      if (request.has_known_at_or_above()) worker.known_at_or_above = FromProto(request.known_at_or_above());
      changed_ += deltas.size();
      keys_ += worker.totals.size();
    }
    ++batch_;
  }

  // The merge of what was folded; false if it is wrong.
  bool Merge() {
    busy_ = absl::ZeroDuration();
    const bool by_changes = replica_ != nullptr;
    const bool all = by_changes && replica_->PartOf(0) == nullptr;
    const GlobalTopK::Result result = by_changes ? MergeChanges() : MergeThresholds();
    if (by_changes) {
      choice_.NoteChanges(result.entries, keys_);
    } else {
      if (result.rounds > 1) known_.Clear();
      choice_.NoteThresholds(result.entries + result.look_ups, kMergeFloorEntries * workers_.size(), changed_, keys_);
    }
    if (choice_.by_changes() != by_changes) {
      replica_ = choice_.by_changes() ? std::make_unique<TotalReplica>(std::make_shared<MergeMemory>()) : nullptr;
      known_.Clear();
      if (replica_ != nullptr) replica_->Begin(std::vector<std::string>(workers_.size(), "worker"));
    }
    for (size_t w = 0; w < workers_.size(); ++w) {
      workers_[w].threshold =
          replica_ == nullptr && w < result.next_thresholds.size() ? result.next_thresholds[w] : std::nullopt;
    }
    std::vector<std::string> top;
    for (const GlobalTopK::Partial& entry : result.top) top.push_back(entry.key);
    const char* const merge = !by_changes ? "thresholds" : all ? "all entries" : "changes";
    if (batch_ <= 3 || batch_ == batches_ || merge_ != merge) Print(merge, result, top == top_);
    top_ = std::move(top);
    merge_ = merge;
    return IsExact(result);
  }

 private:
  using Composition = KeptChanges::Composition;

  struct Worker {
    Totals totals;
    KeptChanges kept;
    std::optional<Units> threshold;
    // Of the last fold: keys it added to, and what it was asked for.
    uint64_t changed = 0;
    std::optional<Units> known_at_or_above;
    // To and from it, in this batch.
    uint64_t bytes = 0;
  };

  static Composition CompositionAt(int batch) {
    Composition composition;
    PartitionOffset* offset = composition.Add();
    offset->set_partition(1);
    offset->set_next_offset(1'000'000 + batch);
    return composition;
  }

  GlobalTopK::Result MergeThresholds() {
    GlobalTopK merge(kTop, workers_.size());
    for (size_t w = 0; w < workers_.size(); ++w) {
      Worker& worker = workers_[w];
      FoldReply reply;
      *reply.mutable_composition() = CompositionAt(batch_);
      reply.set_changed_keys(worker.changed);
      if (worker.known_at_or_above && worker.kept.known()) {
        worker.kept.ForEach([&](std::string_view key, Units) {
          const Units sum = *worker.totals.Find(key);
          // No event takes anything away.
          if (sum >= *worker.known_at_or_above) AddEntry(key, sum, reply.mutable_entries());
        });
        reply.set_only_changed(true);
        worker.bytes += reply.ByteSizeLong();
        Timed([&] {
          merge.AddReply(w, known_.Update(w, reply), known_.Floor(w), static_cast<uint64_t>(reply.entries_size()));
        });
        continue;
      }
      const Totals::Top top = worker.totals.Highest(kDepth, worker.threshold, kMaxReplyEntries);
      for (const TotalEntry& entry : top.entries) AddEntry(entry.key, entry.sum, reply.mutable_entries());
      if (top.floor) *reply.mutable_floor() = ToProto(*top.floor);
      worker.bytes += reply.ByteSizeLong();
      Timed([&] {
        known_.Learn(w, reply);
        merge.AddReply(w, Partials(reply.entries()), top.floor);
      });
    }
    for (std::vector<GlobalTopK::Question> questions = Questions(&merge); !questions.empty();
         questions = Questions(&merge)) {
      for (const GlobalTopK::Question& question : questions) Answer(question, &merge);
    }
    return merge.result();
  }

  void Answer(const GlobalTopK::Question& question, GlobalTopK* merge) {
    Worker& worker = workers_[question.worker];
    LookUpRequest request;
    *request.mutable_composition() = CompositionAt(batch_);
    LookUpReply found;
    for (const std::string_view key : question.keys) {
      request.add_keys(key.data(), key.size());
      if (const std::optional<Units> sum = worker.totals.Find(key)) AddEntry(key, *sum, found.mutable_found());
    }
    if (question.at_or_above) {
      *request.mutable_at_or_above() = ToProto(*question.at_or_above);
      request.set_slice(question.slice.index);
      request.set_slices(question.slice.count);
      Parts(request, &worker, [&](const LookUpReply& reply) {
        Timed([&] { merge->AddAnswer(question.worker, {}, Partials(reply.at_or_above()), reply.next() != 0); });
      });
    } else {
      worker.bytes += request.ByteSizeLong() + found.ByteSizeLong();
      Timed([&] { merge->AddAnswer(question.worker, Partials(found.found()), {}); });
    }
  }

  // Every entry at or above, as worker/worker_job tells them.
  template <typename Take>
  static void Parts(LookUpRequest request, Worker* worker, const Take& take) {
    do {
      std::vector<TotalEntry> entries;
      LookUpReply reply;
      reply.set_next(worker->totals.AtOrAbove(FromProto(request.at_or_above()), request.from(), kPartBytes, &entries));
      const KeySlice slice{request.slice(), std::max(1u, request.slices())};
      for (const TotalEntry& entry : entries) {
        if (slice.Has(entry.key)) AddEntry(entry.key, entry.sum, reply.mutable_at_or_above());
      }
      worker->bytes += request.ByteSizeLong() + reply.ByteSizeLong();
      take(reply);
      request.set_from(reply.next());
    } while (request.from() != 0);
  }

  GlobalTopK::Result MergeChanges() {
    const Composition composition = CompositionAt(batch_);
    for (size_t w = 0; w < workers_.size(); ++w) {
      Worker& worker = workers_[w];
      if (replica_->PartOf(w) == nullptr) {
        LookUpRequest request;
        *request.mutable_composition() = composition;
        *request.mutable_at_or_above() = ToProto(std::numeric_limits<Units>::min());
        Parts(request, &worker, [&](const LookUpReply& reply) {
          Timed([&] { CHECK(replica_->Add(w, reply.at_or_above())) << "the totals do not fit"; });
        });
      } else {
        FoldReply reply;
        *reply.mutable_composition() = composition;
        uint64_t from = 0;
        do {
          reply.clear_changes();
          worker.kept.Tell(from, kPartBytes, reply.mutable_changes());
          worker.bytes += reply.ByteSizeLong();
          Timed([&] { CHECK(replica_->Add(w, reply.changes().added())) << "the totals do not fit"; });
          from = reply.changes().next();
        } while (from != 0);
      }
      replica_->Complete(w, composition);
    }
    GlobalTopK::Result result;
    Timed([&] { result = replica_->Highest(kTop); });
    replica_->Begin(std::vector<std::string>(workers_.size(), "worker"));
    return result;
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

  void Print(const char* merge, const GlobalTopK::Result& result, bool same_keys) const {
    uint64_t bytes = 0;
    uint64_t max_bytes = 0;
    for (const Worker& worker : workers_) {
      bytes += worker.bytes;
      max_bytes = std::max(max_bytes, worker.bytes);
    }
    const double workers = shape_.workers;
    nlohmann::ordered_json line = shape_.Line();
    line["batch"] = batch_;
    line["changed_keys_per_worker"] = static_cast<double>(changed_) / workers;
    line["merge"] = merge;
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
  std::vector<Worker> workers_;
  int batch_ = 0;
  // Of the last batch, and in all, over all workers.
  uint64_t changed_ = 0;
  uint64_t keys_ = 0;
  MergeChoice choice_;
  KnownEntries known_{std::make_shared<MergeMemory>()};
  std::unique_ptr<TotalReplica> replica_;
  absl::Duration busy_;
  // The keys of the batch before, and how it was merged.
  std::vector<std::string> top_;
  std::string_view merge_;
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
        merge.Fold(batch == 0 ? shape.keys * kEventsAKey : kNextEvents);
        exact = merge.Merge() && exact;
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
