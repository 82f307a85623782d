// Aggregate: what a range of records adds to each key, kept aside from state until the range is whole. One a shard and
// fold; used by one thread at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "common/number/units.h"
#include "common/table/delta.h"
#include "common/table/key_table.h"

namespace tenfold {

class DeltaTable {
 public:
  // Adds one record's contribution. The key has to live until the next AddPending; then it is copied, the first time.
  void Add(std::string_view key, int64_t units) {
    pending_keys_[pending_] = key;
    pending_units_[pending_] = units;
    if (++pending_ == KeyTable::kBlock) AddPending();
  }
  // Adds what was put off so that it is done at once for many records.
  void AddPending();

  // Adds what is pending; every key with its delta, in the order the keys came. Views live until the next Clear.
  std::vector<Delta> Deltas();
  // What a batch of these deltas takes until it is in the totals: the table, Deltas' answer, and a copy for the store.
  // 0 of an empty table, although that keeps memory.
  size_t bytes() const { return keys_.size() * kBytesPerKey + 2 * keys_.key_bytes(); }
  // The memory that it has, in bytes.
  size_t memory() const { return keys_.bytes() + amounts_.capacity() * sizeof(Amount); }
  // Empties the table and keeps its memory, but gives up what is far more than it held. Returns how much it gave up.
  size_t Clear();

 private:
  // 48 of KeyTable, 64 of amounts while they grow, 48 of Delta, 48 in RocksDB's batch, 16 in a list of keys to read.
  static constexpr size_t kBytesPerKey = 224;

  struct Amount {
    Units sum = 0;
    uint64_t count = 0;
  };

  std::array<std::string_view, KeyTable::kBlock> pending_keys_;
  std::array<int64_t, KeyTable::kBlock> pending_units_;
  size_t pending_ = 0;

  KeyTable keys_;
  // By key index.
  std::vector<Amount> amounts_;
};

}  // namespace tenfold
