// Aggregates what a range of records adds to each key, apart from the state until the range is complete. There is one for
// each shard and fold; used by one thread at a time.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/number/height.h"
#include "common/number/units.h"
#include "common/table/delta.h"
#include "common/table/key_table.h"

namespace tenfold {

class DeltaTable {
 public:
  // Adds one record's contribution, of a job with one sum. The key must stay valid until the next AddPending, which copies
  // new keys.
  void Add(std::string_view key, int64_t units) {
    pending_keys_[pending_] = key;
    pending_units_[pending_] = units;
    if (++pending_ == KeyTable::kBlock) AddPending();
  }
  // The same for all sums of a job, some of which may be heights, and a key that need not stay valid. All contributions are
  // of the same sums.
  void AddCopy(std::string_view key, std::span<const int64_t> units, HeightSet heights);
  // The same for a bit of `rows` each: the contribution of a row is keys[row], with units[m][row] for each sum m.
  using KeyBlock = std::array<std::string_view, KeyTable::kBlock>;
  using UnitBlock = std::array<int64_t, KeyTable::kBlock>;
  void AddBlock(uint64_t rows, const KeyBlock& keys, std::span<const UnitBlock> units, HeightSet heights);
  // Adds the pending contributions, many at a time.
  void AddPending();

  // Adds what is pending and returns every key with its delta, in the order of insertion. Views are valid until the next
  // change.
  std::vector<Delta> Deltas();
  // The memory, in bytes, that a batch of these deltas takes until it is in the totals: the table, Deltas' result, and a
  // copy for the store. It is 0 for an empty table, although that keeps memory.
  size_t bytes() const { return keys_.size() * (kBytesPerKey + others_ * kBytesPerOther) + 2 * keys_.key_bytes(); }
  // The memory that the table has allocated, in bytes.
  size_t memory() const {
    return keys_.bytes() + amounts_.capacity() * sizeof(Amount) + other_sums_.capacity() * sizeof(Units);
  }
  // Empties the table. Keeps its memory, but frees what is far more than it held, and returns how many bytes it freed.
  size_t Clear();

 private:
  // 48 of KeyTable, 64 of amounts while they grow, 64 of Delta, 48 in RocksDB's batch, 16 in a list of keys to read.
  static constexpr size_t kBytesPerKey = 240;
  // Of each other sum: 32 while they grow, 19 in RocksDB's batch.
  static constexpr size_t kBytesPerOther = 51;

  struct Amount {
    Units sum = 0;
    uint64_t count = 0;
  };

  void SetSums(size_t sums, HeightSet heights);
  // What a sum is together with a contribution.
  static Units With(bool is_height, Units sum, int64_t units) {
    return is_height ? std::max(sum, HeightOf(units)) : sum + units;
  }
  // Counts a contribution for each of the keys, and adds what `units_of` has for it to its first sum.
  template <typename UnitsOf>
  void AddToFirst(std::span<const uint32_t> indexes, const UnitsOf& units_of);
  // Finds the amounts of keys, of which there are at most kBlock, and has them and their other sums ready.
  void Find(std::span<const std::string_view> keys, uint32_t* indexes);

  // How many sums rows have beside the first.
  size_t others_ = 0;
  // Which of all are heights.
  HeightSet heights_;
  KeyBlock pending_keys_;
  UnitBlock pending_units_;
  // `others_` for each pending contribution.
  std::vector<int64_t> pending_others_;
  // Of pending keys, those that AddCopy brought.
  std::array<std::string, KeyTable::kBlock> copies_;
  size_t pending_ = 0;

  KeyTable keys_;
  // Indexed by key index.
  std::vector<Amount> amounts_;
  // `others_` for each key.
  std::vector<Units> other_sums_;
};

}  // namespace tenfold
