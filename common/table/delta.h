// What is added to a key: by a range of records, by a row that joins the sums, or by a worker's changes.
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
