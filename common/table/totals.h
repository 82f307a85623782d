// A total per key, in memory, and the answer to "which are highest?" at a cost of the keys changed: a tree of block maxima
// over the dense sums. A worker has them of the shards that it owns of a job, the driver at times of all workers. Used by
// one thread at a time.
//
// A key costs its bytes, 16 of sum, 8 of count, 0.3 of maxima and what KeyTable says: 43 to 54 in all. A key that becomes
// absent keeps its place.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/number/units.h"
#include "common/table/delta.h"
#include "common/table/key_table.h"

namespace tenfold {

struct TotalEntry {
  // Lives as long as the totals.
  std::string_view key;
  Units sum = 0;
};

class Totals {
 public:
  // Adds a delta or, when a shard joins or leaves the sums, a whole row (count and sum negated to leave). A key whose
  // count comes to 0 is absent: no row of the owned shards has it.
  void Add(std::string_view key, int64_t count, Units sum);
  // The same for many.
  void Add(std::span<const Delta> deltas);
  // Adds those of the deltas whose keys are there already, absent or not, and appends the others to `unknown`.
  void AddToKnown(std::span<const Delta> deltas, std::vector<const Delta*>* unknown);

  // The partial of a key; nullopt if absent.
  std::optional<Units> Find(std::string_view key) const;

  struct Top {
    // Sum descending, then key ascending.
    std::vector<TotalEntry> entries;
    // Upper bound of every present key's sum that is not in `entries`, and the sum of one of them; nullopt if all are
    // there. Equals the last entry's sum if a tie was cut.
    std::optional<Units> floor;
  };
  // At least the `depth` highest (all, if there are fewer), and every key at or above `threshold` if set, but never more
  // than max(depth, max_entries): the bound in `floor` tells what was left out.
  Top Highest(size_t depth, std::optional<Units> threshold, size_t max_entries) const;

  // Every key at or above `threshold`, in parts: appends until about `max_bytes` of keys and sums and returns where to go
  // on, 0 at the end. Start with from = 0; the totals must not change in between.
  uint64_t AtOrAbove(Units threshold, uint64_t from, size_t max_bytes, std::vector<TotalEntry>* entries) const;

  // Of all present rows; equals the sum of the owned shards' digests. Reads every row: for after moves and restores.
  Uint128 Digest() const;
  // Present keys.
  size_t size() const { return present_; }
  // Every present key, in the order they came.
  void ForEach(const std::function<void(std::string_view key, int64_t count, Units sum)>& visit) const;
  // Memory taken.
  size_t bytes() const;

 private:
  static constexpr size_t kFanOut = 64;
  // 64^6 places are more than the 2^32 indexes of a KeyTable; the top level then has at most 4 nodes.
  static constexpr size_t kLevels = 5;

  struct Block {
    std::array<Units, kFanOut> sums{};
    // 0: absent.
    std::array<int64_t, kFanOut> counts{};
  };

  void AddBlock();
  void AddAt(size_t index, int64_t count, Units sum);
  void Prefetch(size_t index) const;
  // The sum at an index, or less than any sum if absent.
  Units ValueAt(size_t index) const;
  Units MaxOfChildren(size_t level, size_t node) const;
  // Brings the maxima up to date after the value at an index changed from `before`.
  void UpdateMaxima(size_t index, Units before);
  // The next block at or after `block` that has a key at or above `threshold`; the number of blocks if none.
  size_t NextBlock(size_t block, Units threshold) const;

  KeyTable keys_;
  std::vector<std::unique_ptr<Block>> blocks_;
  // maxima_[0][b] is the highest value in block b; maxima_[l][n] the highest of 64 nodes n*64.. of level l - 1.
  std::array<std::vector<Units>, kLevels> maxima_;
  size_t present_ = 0;
};

}  // namespace tenfold
