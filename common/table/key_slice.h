// One of several disjoint parts of all keys, which the keys' hashes decide. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "xxhash.h"

namespace tenfold {

struct KeySlice {
  // The slice's index, from 0, and the number of slices, a power of two.
  uint32_t index = 0;
  uint32_t count = 1;

  bool Has(std::string_view key) const { return count == 1 || (XXH3_64bits(key.data(), key.size()) & (count - 1)) == index; }
};

}  // namespace tenfold
