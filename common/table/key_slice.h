// A part of all keys, by their hashes. Pure.
#pragma once

#include <cstdint>
#include <string_view>

#include "xxhash.h"

namespace tenfold {

struct KeySlice {
  // Which one, from 0, of how many: a power of two.
  uint32_t index = 0;
  uint32_t count = 1;

  bool Has(std::string_view key) const { return count == 1 || (XXH3_64bits(key.data(), key.size()) & (count - 1)) == index; }
};

}  // namespace tenfold
