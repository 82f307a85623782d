#include "common/table/key_seed.h"

#include <random>

#include "xxhash.h"

namespace tenfold {

uint64_t KeySeed() {
  static const uint64_t seed = [] {
    std::random_device random;
    return uint64_t{random()} << 32 | random();
  }();
  return seed;
}

size_t SeededHash::operator()(std::string_view key) const {
  static const uint64_t seed = KeySeed();
  return XXH3_64bits_withSeed(key.data(), key.size(), seed);
}

}  // namespace tenfold
