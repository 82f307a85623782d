// What a shard's column family holds, byte by byte: its state under one key, and each row under a tag, a pane and the
// ranking key. ARCHITECTURE.md, "State on disk", has the formats.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "common/limits.h"
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

// The encoded value of a row, count and then sums, of which there are at most kMaxSums. A delta has the same form.
class EncodedRow {
 public:
  EncodedRow(uint64_t count, Units sum, std::span<const Units> others) : size_(EncodeUnits(count, bytes_)) {
    size_ += EncodeUnits(sum, bytes_ + size_);
    for (const Units other : others) size_ += EncodeUnits(other, bytes_ + size_);
  }
  // Of the object.
  rocksdb::Slice slice() const { return {bytes_, size_}; }

 private:
  char bytes_[(1 + kMaxSums) * kMaxEncodedUnits];
  size_t size_;
};

// The values of a row.
struct DecodedRow {
  uint64_t count = 0;
  // How many of the sums there are, at least one.
  size_t size = 0;
  std::array<Units, kMaxSums> sums;

  std::span<const Units> others() const { return {sums.data() + 1, size - 1}; }
};

// False if it is no row.
bool DecodeRow(const rocksdb::Slice& row, DecodedRow* decoded);

// Adds deltas to rows.
std::shared_ptr<rocksdb::MergeOperator> MakeRowMerge();

}  // namespace tenfold
