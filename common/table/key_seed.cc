#include "common/table/key_seed.h"

#include <random>

namespace tenfold {

uint64_t KeySeed() {
  static const uint64_t seed = [] {
    std::random_device random;
    return uint64_t{random()} << 32 | random();
  }();
  return seed;
}

}  // namespace tenfold
