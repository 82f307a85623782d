#include "worker/totals/upper_bounds.h"

#include <algorithm>
#include <limits>

#include "xxhash.h"

namespace tenfold {
namespace {

// How often the cells can be halved; each halving merges the keys of two cells into one.
constexpr int kHalvings = 10;

size_t PlaceOf(uint64_t hash, size_t cells) { return static_cast<size_t>((Uint128{hash} * cells) >> 64); }

}  // namespace

UpperBounds::UpperBounds(size_t bytes) : cells_(std::max<size_t>(1, (bytes / sizeof(Cell)) >> kHalvings) << kHalvings) {}

bool UpperBounds::Halve() {
  if (cells_.size() % 2 != 0) return false;
  for (size_t i = 0; i < cells_.size() / 2; ++i) cells_[i] = std::max(cells_[2 * i], cells_[2 * i + 1]);
  cells_.resize(cells_.size() / 2);
  cells_.shrink_to_fit();
  return true;
}

UpperBounds::Place UpperBounds::Find(std::string_view key) const {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(key.data(), key.size(), seed_);
  return {PlaceOf(hash.low64, cells_.size()), PlaceOf(hash.high64, cells_.size())};
}

void UpperBounds::Prefetch(const Place& place) const {
  __builtin_prefetch(&cells_[place.first], 1);
  __builtin_prefetch(&cells_[place.second], 1);
}

Units UpperBounds::Bound(const Place& place) const {
  return Units{std::min(cells_[place.first], cells_[place.second])} << shift_;
}

void UpperBounds::Raise(const Place& place, Units total) {
  if (total <= 0) return;
  // Rounded up; as the ceiling fits a cell, the total does.
  const auto cell = static_cast<Cell>(((total - 1) >> shift_) + 1);
  cells_[place.first] = std::max(cells_[place.first], cell);
  cells_[place.second] = std::max(cells_[place.second], cell);
}

void UpperBounds::RaiseCeiling(Units ceiling) {
  int steps = 0;
  while (ceiling >> (shift_ + steps) >= std::numeric_limits<Cell>::max()) ++steps;
  if (steps == 0) return;
  shift_ += steps;
  for (Cell& cell : cells_) {
    // Rounded up, so that the cell stays an upper bound.
    if (cell != 0) cell = static_cast<Cell>(steps < 16 ? ((cell - 1) >> steps) + 1 : 1);
  }
}

}  // namespace tenfold
