// What is added to a key's count and sum: by a range of records, a row that joins the sums, or a worker's changes.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/number/units.h"

namespace tenfold {

struct Delta {
  std::string_view key;
  uint64_t count = 0;
  Units sum = 0;
};

}  // namespace tenfold
