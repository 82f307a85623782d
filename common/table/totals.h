// The totals of each key, in memory, and the keys with the highest of what ranks at a cost that depends on the keys changed:
// a tree of block maxima over what ranks. A worker keeps the totals of a job's shards that it owns, the driver at times
// those of all workers. Used by one thread at a time.
//
// Beyond its own bytes a key costs 16 bytes of what ranks, 8 of count, 0.3 of maxima and what KeyTable says, 43 to 54 in
// all; where rows have several sums, 16 for each of them too. A key that becomes absent keeps its index.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "common/number/ranking.h"
#include "common/number/units.h"
#include "common/table/delta.h"
#include "common/table/key_table.h"

namespace tenfold {

struct TotalEntry {
  // The view is valid as long as the totals exist.
  std::string_view key;
  // What ranks (Ranking::Of); of a quotient Ranking::OfTotal.
  Units sum = 0;
  // Every sum of the row, where it has several; valid until the totals change.
  std::span<const Units> sums = {};
};

class Totals {
 public:
  Totals() : Totals(Ranking()) {}
  explicit Totals(const Ranking& ranking) : ranking_(ranking) {}

  // Adds a delta or, when a shard joins the sums, a whole row; when a shard leaves, its rows with count and sums negated,
  // modulo 2^64 and 2^128, which takes no heights away. A key whose count becomes 0 is absent, as no row of the owned shards
  // has it.
  void Add(const Delta& delta);
  // Adds every delta.
  void Add(std::span<const Delta> deltas);
  // Adds the deltas of keys that have an index, be they present or absent, and appends the other deltas to `unknown`.
  void AddToKnown(std::span<const Delta> deltas, std::vector<const Delta*>* unknown);

  // The entry of a key; nullopt if the key is absent.
  std::optional<TotalEntry> Find(std::string_view key) const;

  struct Top {
    // Sorted by sum descending, then by key ascending.
    std::vector<TotalEntry> entries;
    // The highest sum of the present keys that are not in `entries`; nullopt if there are none. It equals the last entry's
    // sum if a tie was cut.
    std::optional<Units> floor;
  };
  // Returns at least the `depth` highest keys, or all if there are fewer, and every key at or above `threshold`, if set, but
  // never more than max(depth, max_entries); `floor` is an upper bound of what was left out. With a condition there are no
  // keys but those that fulfil it.
  // Nothing below `least`, if it is set, fulfils the condition.
  Top Highest(size_t depth, std::optional<Units> threshold, size_t max_entries, const RowCondition& condition = nullptr,
              std::optional<Units> least = std::nullopt) const;

  // Returns every key at or above `threshold` in parts: appends about `max_bytes` of keys and sums and returns the place
  // from which to continue, 0 at the end. The first call has from = 0; the totals must not change between the calls.
  uint64_t AtOrAbove(Units threshold, uint64_t from, size_t max_bytes, std::vector<TotalEntry>* entries) const;

  // Computes the digest of all present rows, which equals the sum of the owned shards' digests. Reads every row.
  Uint128 Digest() const;
  // The number of present keys.
  size_t size() const { return present_; }
  // The number of keys that are absent and take memory all the same.
  size_t absent() const { return keys_.size() - present_; }
  // Visits the row of every present key in the order of the indexes.
  void ForEach(const std::function<void(const Delta& row)>& visit) const;
  // The memory that the totals take, in bytes.
  size_t bytes() const;

 private:
  static constexpr size_t kFanOut = 64;
  // 64^6 places are more than the 2^32 indexes of a KeyTable; the top level then has at most 4 nodes.
  static constexpr size_t kLevels = 5;

  struct Block {
    // What ranks.
    std::array<Units, kFanOut> values{};
    // 0 where the key is absent.
    std::array<int64_t, kFanOut> counts{};
  };

  void AddBlock();
  void AddAt(size_t index, const Delta& delta);
  void Prefetch(size_t index) const;
  // What ranks at an index, or less than any sum if its key is absent.
  Units ValueAt(size_t index) const;
  // All sums at an index, which are in `row_sums_` or, where there is one, in `*one`.
  std::span<const Units> SumsAt(size_t index, Units* one) const;
  TotalEntry EntryAt(size_t index) const;
  Delta RowAt(uint32_t index, Units* one) const;
  Units MaxOfChildren(size_t level, size_t node) const;
  // Updates the maxima after the value at an index changed from `before`.
  void UpdateMaxima(size_t index, Units before);
  // The next block at or after `block` that has a key at or above `threshold`; the number of blocks if none.
  size_t NextBlock(size_t block, Units threshold) const;

  Ranking ranking_;
  KeyTable keys_;
  std::vector<std::unique_ptr<Block>> blocks_;
  // Where rows have several sums: for each block those of its keys, one key after the other.
  std::vector<std::unique_ptr<Units[]>> row_sums_;
  // maxima_[0][b] is the highest value in block b; maxima_[l][n] is the highest of the 64 nodes from n*64 of level l - 1.
  std::array<std::vector<Units>, kLevels> maxima_;
  size_t present_ = 0;
};

}  // namespace tenfold
