// What the driver knows of the workers' sums between batches that are merged by thresholds: of each worker every entry above
// its floor, at a composition that the driver quotes, so that the worker answers with the entries that changed since and no
// more. Exact for the reason that driver/merge/total_replica.h gives; but what comes are sums, not what was added, so that
// nothing is ever half done. Nothing of it is durable: what is missing is asked for again. A state machine without I/O; used
// by one thread at a time.
//
// A worker's entries are kept only where that pays: not if there are very many, or twice as many as when
// they were first sent (then they are asked for again, above a higher floor), or most of them tie with the floor, or if so
// many keys changed that it costs the worker more to keep those than to send the entries, or a quarter of the memory for
// merges is taken.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/number/units.h"
#include "common/table/key_seed.h"
#include "driver/merge/global_top_k.h"
#include "driver/merge/merge_memory.h"
#include "worker.pb.h"

namespace tenfold {

class KnownEntries {
 public:
  // The most entries of a worker when they are first sent; up to twice as many are kept.
  static constexpr int kMaxEntries = 4096;
  static constexpr uint64_t kMaxChangedKeys = 1 << 14;

  explicit KnownEntries(std::shared_ptr<MergeMemory> memory, const Ranking& ranking = {})
      : ranking_(ranking), memory_(std::move(memory)) {}

  // Begins an attempt with this many workers. Worker w may be another one than before: a worker that is not at the
  // composition quoted sends its highest entries.
  void Begin(size_t workers);
  void Clear();

  bool IsKnown(size_t worker) const { return workers_.at(worker).composition.has_value(); }
  // If worker w's entries are known, asks for those that changed: sets `since` and `at_or_above`. False if they are not.
  bool Quote(size_t worker, WantUpdates* wanted) const;

  // Takes worker w's reply with its highest entries, which are all that it has above its floor.
  void Learn(size_t worker, const FoldReply& reply);
  // Takes worker w's reply with the entries that changed. Returns all of its entries, as they are now.
  std::vector<GlobalTopK::Partial> Update(size_t worker, const FoldReply& reply);
  // An upper bound of every partial that is not among them; nullopt if they are all that there are.
  std::optional<Units> Floor(size_t worker) const;

 private:
  // As in Partial.
  struct Sums {
    Units sum = 0;
    std::vector<Units> sums;
  };
  struct Worker {
    // Unset if nothing is known of the worker.
    std::optional<google::protobuf::RepeatedPtrField<PartitionOffset>> composition;
    // Every key of the worker at or above this sum is among the entries.
    Units least = 0;
    absl::flat_hash_map<std::string, Sums, SeededHash> entries;
    // The entries are given up when there are more.
    size_t most = 0;
  };

  void Put(Worker* worker, const Entry& entry);
  // Whether the worker's entries are worth their memory, now that so many keys changed.
  bool IsWorthIt(const Worker& worker, uint64_t changed_keys) const;
  void Forget(Worker* worker);

  uint64_t BytesOf(const std::string& key) const;

  const Ranking ranking_;
  MergeShare memory_;
  std::vector<Worker> workers_;
  // The memory that the entries of all workers take.
  uint64_t bytes_ = 0;
};

}  // namespace tenfold
