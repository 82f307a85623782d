// What is added to the count and the sums of a key: by a range of records, a row that joins the sums, or a worker's changes.
// Heights among the sums are joined, and are not to be taken away again.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "common/number/digest.h"
#include "common/number/height.h"
#include "common/number/units.h"

namespace tenfold {

struct Delta {
  std::string_view key;
  uint64_t count = 0;
  // Which of the sums are heights.
  HeightSet heights = {};
  // The first sum, and those behind it, which someone else owns; all rows of a job have as many.
  Units sum = 0;
  std::span<const Units> others = {};
};

// Returns what a delta, or a whole row, adds to a state's digest.
inline Uint128 DigestTerm(const Delta& delta) {
  return DigestTerm(delta.key, delta.count, delta.sum, delta.others, delta.heights);
}

}  // namespace tenfold
