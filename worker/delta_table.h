// Aggregate: what a range of records adds to each key, kept aside from state until the range is whole. One a shard and
// fold; used by one thread at a time.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "common/units.h"
#include "worker/key_table.h"

namespace tenfold {

struct Delta {
  std::string_view key;
  uint64_t count = 0;
  Units sum = 0;
};

class DeltaTable {
 public:
  // Adds one record's contribution; copies the key the first time.
  void Add(std::string_view key, int64_t units);

  // Every key with its delta, sorted by key bytes; views live until the next Clear.
  std::vector<Delta> Sorted() const;
  size_t size() const { return keys_.size(); }
  // Empties the table and keeps its memory.
  void Clear();

 private:
  struct Amount {
    Units sum = 0;
    uint64_t count = 0;
  };

  KeyTable keys_;
  // By key index.
  std::vector<Amount> amounts_;
};

}  // namespace tenfold
