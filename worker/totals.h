// A worker's total per key over the shards it owns of one job, in memory, and the answer to "which are highest?" at a cost
// of the keys changed: a tree of block maxima over the dense sums. Used by one thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "common/units.h"

namespace tenfold {

struct TotalEntry {
  std::string_view key;
  Units sum = 0;
};

class Totals {
 public:
  Totals();
  ~Totals();
  Totals(Totals&&) noexcept;
  Totals& operator=(Totals&&) noexcept;

  // Adds a delta or, when a shard joins or leaves the sums, a whole row (count and sum negated to leave). A key whose
  // count comes to 0 is absent: no row of the owned shards has it.
  void Add(std::string_view key, int64_t count, Units sum);

  // The partial of a key; nullopt if absent.
  std::optional<Units> Find(std::string_view key) const;

  struct Top {
    // Sum descending, then key ascending.
    std::vector<TotalEntry> entries;
    // Upper bound of every present key's sum that is not in `entries`; nullopt if all are there.
    std::optional<Units> floor;
  };
  // At least the `depth` highest (all, if there are fewer), and every key at or above `threshold` if set, but never more
  // than max(depth, max_entries): the bound in `floor` tells what was left out.
  Top Highest(size_t depth, std::optional<Units> threshold, size_t max_entries) const;

  // Every key at or above `threshold`, in parts: appends until about `max_bytes` of keys and returns where to go on, 0 at
  // the end. Start with from = 0; the totals must not change in between.
  uint64_t AtOrAbove(Units threshold, uint64_t from, size_t max_bytes, std::vector<TotalEntry>* entries) const;

  // Of all present rows; equals the sum of the owned shards' digests.
  Uint128 Digest() const;
  size_t size() const;
};

}  // namespace tenfold
