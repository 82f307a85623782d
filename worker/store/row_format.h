// What a shard's column family holds, byte by byte: its state under one key, and each row under a tag, a pane and the
// ranking key. ARCHITECTURE.md, "State on disk", has the formats.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "common/number/units.h"
#include "rocksdb/slice.h"

namespace rocksdb {
class MergeOperator;
}  // namespace rocksdb

namespace tenfold {

// Keys are a tag byte, 0 for the state and 1 for a row, and for a row its pane and ranking key.
inline constexpr std::string_view kStateKey("\0", 1);
// Tag and pane: how many bytes it has, then these, big endian. The pane is 0.
inline constexpr std::string_view kRowPrefix("\1\0", 2);

// The encoded value of a row, count and then sum. A delta has the same form.
class EncodedRow {
 public:
  EncodedRow(uint64_t count, Units sum)
      : count_size_(EncodeUnits(count, bytes_)), size_(count_size_ + EncodeUnits(sum, bytes_ + count_size_)) {}
  // Of the object.
  rocksdb::Slice slice() const { return {bytes_, size_}; }

 private:
  char bytes_[2 * kMaxEncodedUnits];
  size_t count_size_;
  size_t size_;
};

// False if it is no row.
bool DecodeRow(const rocksdb::Slice& row, uint64_t* count, Units* sum);

// Adds deltas to rows.
std::shared_ptr<rocksdb::MergeOperator> MakeRowMerge();

}  // namespace tenfold
