// What a shard's column family holds, byte by byte: its state under one key, and each row under a tag, a pane and the
// ranking key. ARCHITECTURE.md, "State on disk", has the formats.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "common/limits.h"
#include "common/number/height.h"
#include "common/number/units.h"
#include "common/table/delta.h"
#include "rocksdb/slice.h"

namespace rocksdb {
class MergeOperator;
}  // namespace rocksdb

namespace tenfold {

// Keys are a tag byte, 0 for the state and 1 for a row, and for a row its pane and ranking key.
inline constexpr std::string_view kStateKey("\0", 1);
// Tag and pane: how many bytes it has, then these, big endian. The pane is 0.
inline constexpr std::string_view kRowPrefix("\1\0", 2);

// The encoded value of a row: which sums are heights, as a negative number, unless none is; count; and the sums, of which
// there are at most kMaxSums. A delta has the same form.
class EncodedRow {
 public:
  explicit EncodedRow(const Delta& row) : size_(row.heights.empty() ? 0 : EncodeUnits(-Units{row.heights.bits()}, bytes_)) {
    size_ += EncodeUnits(row.count, bytes_ + size_);
    size_ += EncodeUnits(row.sum, bytes_ + size_);
    for (const Units other : row.others) size_ += EncodeUnits(other, bytes_ + size_);
  }
  // Of the object.
  rocksdb::Slice slice() const { return {bytes_, size_}; }

 private:
  char bytes_[(2 + kMaxSums) * kMaxEncodedUnits];
  size_t size_;
};

// The values of a row.
struct DecodedRow {
  HeightSet heights = {};
  uint64_t count = 0;
  // How many of the sums there are, at least one.
  size_t size = 0;
  std::array<Units, kMaxSums> sums;

  Delta row() const {
    return {.key = {}, .count = count, .heights = heights, .sum = sums[0], .others = {sums.data() + 1, size - 1}};
  }
};

// False if it is no row.
bool DecodeRow(const rocksdb::Slice& row, DecodedRow* decoded);

// Adds deltas to rows, and joins their heights.
std::shared_ptr<rocksdb::MergeOperator> MakeRowMerge();

}  // namespace tenfold
