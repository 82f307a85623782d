// A worker's totals within a memory limit. As long as they fit, all are in memory (common/table/totals.h). Beyond the limit
// only the held keys are in memory: every key whose total is at least a number F. The totals of other keys are in the store
// only, and read from there when they are asked for, or when they may have reached F. Every answer is exact in any case, and
// every bound of the keys left out is a true bound. Used by one thread at a time.
//
// A key is known to be below F without reading it as long as its upper bound (worker/totals/upper_bounds.h) is below F. So
// a changed key costs a read only if it is not held and comes near to F. (Where a height ranks, only what is added has to be
// looked at.) Of a limit of L bytes 3/8 are for held keys
// and 1/2 for bounds. When there are too many held keys F is raised until those that stay fill 1/32 of L: the higher
// F is, the fewer keys come near it.
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
#include "common/number/ranking.h"
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

  // Sets the limit, from the next change on.
  void SetLimit(size_t bytes) { limit_ = bytes; }
  // What the rows are; the sums are those of no shard from now on. Below, a sum is what ranks.
  void SetRanking(const Ranking& ranking);
  const Ranking& ranking() const { return ranking_; }

  // Makes the totals anew without the keys that were taken away, if they are most of those in memory.
  void DropAbsent();
  // Gives up what is beyond the limit, at once. What AtOrAbove has answered in part does not go on.
  void Shrink();

  // A row of a shard that joins the sums or, with count and sums negated, leaves them, which a height cannot. SetShards has
  // to follow.
  void AddRow(const Delta& row);
  // The sums are those of these shards now, which the store has. If they are too many to be in memory, reads them all.
  absl::Status SetShards(std::vector<ShardKey> shards);
  // What is in memory is of no use any more: the next SetShards reads all rows of its shards.
  void ReadAnew();
  // The sums are those of no shard from now on.
  void Clear();
  // Reads nothing of the store until the next question, so that shards may be dropped.
  void EndScan();

  // Adds what a commit has added to the store; one span a shard.
  absl::Status Add(std::span<const std::span<const Delta>> shards);
  // Returns whether Add needs nothing of the store, so that it may come before the commit.
  bool AddsInMemory(std::span<const std::span<const Delta>> shards) const { return complete() && !stale_ && Fit(shards); }

  // The partials of a key, if they are in memory.
  std::optional<TotalEntry> FindHeld(std::string_view key) const { return totals_.Find(key); }
  // Whether every key at or above `sum` is in memory.
  bool HoldsFrom(Units sum) const { return !stale_ && (complete() || sum >= *held_from_); }
  // How often keys left memory. While this stays the same, a key that is not held was not held before.
  uint64_t drops() const { return drops_; }
  // The row of each key, nullopt if absent; of what is in memory without the count.
  absl::StatusOr<std::vector<std::optional<ShardStore::RowSum>>> Find(std::span<const std::string_view> keys);

  // Like Totals::Highest, except that keys at or above `threshold` may be left out if they are below F; the result's
  // floor is an upper bound all the same, and the `depth` highest are there.
  absl::StatusOr<Totals::Top> Highest(size_t depth, std::optional<Units> threshold, size_t max_entries);

  // Like Totals::AtOrAbove; the entries are valid until the next call. A part may be empty.
  absl::StatusOr<uint64_t> AtOrAbove(Units threshold, uint64_t from, size_t max_bytes, std::vector<TotalEntry>* entries);

  // Whether every key is in memory.
  bool complete() const { return !held_from_.has_value(); }
  // The number of keys; if not all are in memory, an estimate of the rows of the shards.
  uint64_t Keys() const;
  // How many keys were read from the store since the start, and how often all rows were.
  uint64_t keys_read() const { return keys_read_; }
  uint64_t rebuilds() const { return rebuilds_; }
  // The memory that the totals take, in bytes.
  size_t bytes() const { return totals_.bytes() + (bounds_ ? bounds_->bytes() : 0); }

 private:
  // Whether a row has as many sums as the job's have.
  bool Fits(const Delta& row) const { return row.others.size() + 1 == ranking_.sums; }
  size_t HeldLimit() const { return limit_ / 8 * 3; }
  // Whether all keys fit into memory, with these.
  bool Fit(std::span<const std::span<const Delta>> shards) const;
  bool HasTooMany() const { return limit_ != kNoLimit && totals_.bytes() > HeldLimit(); }
  // Keeps the highest of the held keys and raises F above all others.
  void HoldFewer();
  // Reads all rows from the store and chooses F again.
  absl::Status Rebuild();
  // Raises the bounds of keys that are not held, and lists those that may have reached F.
  void RaiseBounds(std::span<const Delta* const> deltas, std::vector<std::string_view>* reached);
  // Holds those of the keys, sorted and distinct, that have reached F.
  absl::Status TakeIn(std::span<const std::string_view> keys);
  // The sums of the keys over all shards; the keys are sorted and distinct.
  absl::StatusOr<std::vector<ShardStore::RowSum>> Read(std::span<const std::string_view> keys);
  // An upper bound of the total of every key that is not in memory.
  Units MaxOutside() const { return *held_from_ - 1; }

  const ShardStore* const store_;
  const std::function<bool()> stop_;
  Ranking ranking_;
  size_t limit_ = kNoLimit;
  // The greatest depth ever asked for. Twice as many keys stay held, however small the limit is.
  size_t depth_ = 0;
  std::vector<ShardKey> shards_;
  // The totals in memory are not those of the shards and must be read again before they are used.
  bool stale_ = false;

  Totals totals_;
  // F: a key that is not in memory is absent or below it. Nullopt if every key is in memory.
  std::optional<Units> held_from_;
  // The bounds of the keys that are not held. They say nothing unless F is above 0: otherwise a key that was absent
  // may reach F with a total below 0.
  std::optional<UpperBounds> bounds_;

  // An AtOrAbove in several parts: the rows, how many keys were passed, and the keys and sums of the last part.
  MergedRows scan_;
  std::optional<uint64_t> scanned_;
  std::deque<std::string> scanned_keys_;
  std::deque<std::vector<Units>> scanned_sums_;

  uint64_t drops_ = 0;
  uint64_t keys_read_ = 0;
  uint64_t rebuilds_ = 0;
};

}  // namespace tenfold
