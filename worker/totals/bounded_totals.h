// A worker's totals within a limit of memory. Below it they are all in memory (common/table/totals.h). Beyond it only the
// candidates are: every key whose total is at or above a floor. What others add up to is in the store alone, and read from
// there when it is asked for, or when it may have come to reach the floor. Every answer is exact either way, and what is
// said of the keys left out is true of them. Used by one thread at a time.
//
// That a key is below the floor is known without reading it as long as its upper bound (worker/totals/upper_bounds.h) is: so
// a changed key costs a read only if it is no candidate and near to being one. Of a limit of L bytes 3/8 are for candidates
// and 1/2 for bounds. When there are too many candidates the floor is raised until what stays fills 1/32 of L: the higher
// it is, the fewer keys come near it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/number/units.h"
#include "common/table/delta.h"
#include "common/table/totals.h"
#include "worker/store/shard_store.h"
#include "worker/totals/upper_bounds.h"

namespace tenfold {

class BoundedTotals {
 public:
  static constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();

  // The store outlives the object. `stop`, polled while shards are read whole, ends that with CANCELLED.
  BoundedTotals(const ShardStore* store, std::function<bool()> stop) : store_(store), stop_(std::move(stop)) {}

  // Holds from the next change on.
  void SetLimit(size_t bytes) { limit_ = bytes; }

  // A row of a shard that joins the sums or, with count and sum negated, leaves them. SetShards has to follow.
  void AddRow(std::string_view key, int64_t count, Units sum);
  // The sums are those of these shards now, which the store has. If they are too many to be in memory, reads them all.
  absl::Status SetShards(std::vector<ShardKey> shards);
  // The sums are those of no shard from now on.
  void Clear();
  // Reads nothing of the store until the next question, so that shards may be dropped.
  void EndScan();

  // Adds what a commit has added to the store; one span a shard.
  absl::Status Add(std::span<const std::span<const Delta>> shards);

  // The partial of a key, if it is in memory.
  std::optional<Units> FindHeld(std::string_view key) const { return totals_.Find(key); }
  // Whether every key at or above `sum` is in memory.
  bool HoldsFrom(Units sum) const { return !stale_ && (complete() || sum >= *floor_); }
  // How often keys left memory: while this stays the same, one that is not there was not there before.
  uint64_t drops() const { return drops_; }
  // The partial of each key, nullopt if absent.
  absl::StatusOr<std::vector<std::optional<Units>>> Find(std::span<const std::string_view> keys);

  // As Totals::Highest, except that keys at or above `threshold` may be left out while they are below the floor; the top's
  // floor is an upper bound all the same, and the `depth` highest are there.
  absl::StatusOr<Totals::Top> Highest(size_t depth, std::optional<Units> threshold, size_t max_entries);

  // As Totals::AtOrAbove; entries live until the next call. A part may be empty.
  absl::StatusOr<uint64_t> AtOrAbove(Units threshold, uint64_t from, size_t max_bytes, std::vector<TotalEntry>* entries);

  // Whether every key is in memory.
  bool complete() const { return !floor_.has_value(); }
  // Keys that the sums have; if they are not all in memory an estimate of the rows they are in.
  uint64_t Keys() const;
  // Of the store, since the start: keys looked up, and times that all rows were read.
  uint64_t keys_read() const { return keys_read_; }
  uint64_t rebuilds() const { return rebuilds_; }
  // The memory that it takes, in bytes.
  size_t bytes() const { return totals_.bytes() + (bounds_ ? bounds_->bytes() : 0); }

 private:
  size_t CandidatesLimit() const { return limit_ / 8 * 3; }
  bool HasTooMany() const { return limit_ != kNoLimit && totals_.bytes() > CandidatesLimit(); }
  // Keeps the highest of the keys in memory and raises the floor above all others.
  void RaiseFloor();
  // Reads everything anew from the store.
  absl::Status Rebuild();
  // Of keys that are not candidates: raises their bounds, and lists those that may have reached the floor.
  void RaiseBounds(std::span<const Delta* const> deltas, std::vector<std::string_view>* reached);
  // Takes in those of the keys, sorted and distinct, that have reached the floor.
  absl::Status TakeIn(std::span<const std::string_view> keys);
  // The sums of the keys over all shards; the keys are sorted and distinct.
  absl::StatusOr<std::vector<ShardStore::RowSum>> Read(std::span<const std::string_view> keys);
  // An upper bound of the total of every key that is not in memory.
  Units MaxOutside() const { return *floor_ - 1; }

  const ShardStore* const store_;
  const std::function<bool()> stop_;
  size_t limit_ = kNoLimit;
  // The most ever asked for. Twice as many candidates stay however small the limit is.
  size_t depth_ = 0;
  std::vector<ShardKey> shards_;
  // What is in memory is not what the shards sum up to: it has to be made anew first.
  bool stale_ = false;

  Totals totals_;
  // A key that is not in memory is absent or below this; nullopt if it is absent.
  std::optional<Units> floor_;
  // Of the keys that are not in memory. Counts for nothing while the floor is not above 0: then also a key that was absent
  // may reach the floor by coming below 0.
  std::optional<UpperBounds> bounds_;

  // An AtOrAbove in several parts: the keys passed, and those of the part answered last.
  MergedRows scan_;
  std::optional<uint64_t> scanned_;
  std::deque<std::string> scanned_keys_;

  uint64_t drops_ = 0;
  uint64_t keys_read_ = 0;
  uint64_t rebuilds_ = 0;
};

}  // namespace tenfold
