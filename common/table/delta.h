// What is added to the count and the sums of a key: by a range of records, a row that joins the sums, or a worker's changes.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "common/number/units.h"

namespace tenfold {

struct Delta {
  std::string_view key;
  uint64_t count = 0;
  // The first sum, and those behind it, which someone else owns; all rows of a job have as many.
  Units sum = 0;
  std::span<const Units> others = {};
};

}  // namespace tenfold
