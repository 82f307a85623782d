// The driver's totals of one job: the sum over workers of their sums, each at a composition that it knows and quotes, so
// that the worker answers with what changed since and no more. Then no entry is unseen, and the top k are the totals'
// highest. A state machine without I/O; used by one thread at a time. Nothing of it is durable: what is missing or doubtful
// is asked for again, as all of a worker's entries.
//
// Exact, because each part is by itself: a composition fixes a worker's sums, so the part at one composition and the changes
// from there to another make the part at the other, whether or not the batch between was committed. A part is only ever
// added to; where one has to be taken out, all are given up.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/table/totals.h"
#include "driver/merge/best_totals.h"
#include "driver/merge/global_top_k.h"
#include "driver/merge/merge_memory.h"
#include "worker.pb.h"

namespace tenfold {

// Where a worker's sums come from: a process and the assignment it works by.
struct MergeSource {
  std::string worker;
  uint64_t incarnation = 0;
  uint64_t assignment = 0;
  bool operator==(const MergeSource&) const = default;
};

class TotalReplica {
 public:
  using Composition = google::protobuf::RepeatedPtrField<PartitionOffset>;
  using Entries = google::protobuf::RepeatedPtrField<Entry>;

  explicit TotalReplica(std::shared_ptr<MergeMemory> memory, ResultRules rules = {})
      : rules_(std::move(rules)), memory_(std::move(memory)) {}
  TotalReplica(const TotalReplica&) = delete;
  TotalReplica& operator=(const TotalReplica&) = delete;

  // Before each attempt: what each part comes from. If that is not as before, or a part was left half added to, all are
  // given up.
  void Begin(const std::vector<MergeSource>& sources);
  void Clear();

  // The composition at which worker w's part is; nullptr if the part is not there.
  const Composition* PartOf(size_t worker) const;
  // Adds to worker w's part. False if the memory does not suffice; then it has given up everything.
  bool Add(size_t worker, const Entries& entries);
  // Everything was added: worker w's part is at this composition from here on.
  void Complete(size_t worker, const Composition& composition);

  // All parts are there. T is the k-th total, unset where all totals have to be seen, U none; `entries` are those added
  // since Begin.
  GlobalTopK::Result Highest(size_t k) const;

 private:
  struct Part {
    std::optional<Composition> composition;
    // It was added to since, and is not complete.
    bool half = false;
  };

  // The totals of a group, framed; nullptr if it does not count.
  Totals* TotalsOf(std::string_view group);
  std::vector<Partial> HighestOf(const Totals& totals, size_t k) const;

  const ResultRules rules_;
  MergeShare memory_;
  std::vector<MergeSource> sources_;
  std::vector<Part> parts_;
  // By group, framed as in keys; without groups there is one. The count of a key is how often it was added to, so it is not
  // 0. What was added to groups that do not count is not kept, as they never will (BestTotals).
  std::map<std::string, Totals, std::less<>> totals_;
  bool groups_cut_ = false;
  uint64_t entries_ = 0;
};

}  // namespace tenfold
