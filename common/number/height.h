// Heights, which are what rows keep of max(x) and min(x). Of max(x) the height rises with x, of min(x) it falls; that of
// several records, rows or partials is the highest one, and 0, which is below all, is that of no value. A row has sums
// beside it. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "common/number/units.h"

namespace tenfold {

// Which of a row's sums, of which there are at most 64, are heights.
class HeightSet {
 public:
  HeightSet() = default;
  explicit HeightSet(uint64_t bits) : bits_(bits) {}
  bool operator==(const HeightSet&) const = default;

  // A spec that breaks the rules may have more, which are none then.
  void Add(size_t m) { bits_ |= m < kMost ? uint64_t{1} << m : 0; }
  // The m-th sum is a height, counted from 0.
  bool Has(size_t m) const { return m < kMost && (bits_ >> m & 1) != 0; }
  bool empty() const { return bits_ == 0; }
  // Bit m is of the m-th.
  uint64_t bits() const { return bits_; }

 private:
  static constexpr size_t kMost = 64;

  uint64_t bits_ = 0;
};

// A record contributes x to the height of max(x) and -x to that of min(x), in units of 1e-9; this where x is null.
inline constexpr int64_t kNoContribution = std::numeric_limits<int64_t>::min();

inline Units HeightOf(int64_t contribution) { return Units{contribution} - kNoContribution; }
// The contribution of a height above 0; of a number that is none, as a peer or a damaged file may give, any number.
inline Units ContributionOf(Units height) {
  return static_cast<Units>(static_cast<Uint128>(height) + static_cast<Uint128>(Units{kNoContribution}));
}

// Two sums are added modulo 2^128, since a peer or a damaged file may give any; of two heights the higher one counts.
inline Units Joined(bool are_heights, Units a, Units b) {
  return are_heights ? std::max(a, b) : static_cast<Units>(static_cast<Uint128>(a) + static_cast<Uint128>(b));
}

}  // namespace tenfold
