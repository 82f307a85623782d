// An upper bound of the total of any key of a set that is far too large to be in memory: a count-min sketch with
// conservative updates (Estan and Varghese, 2002), in cells of 16 bits. A key's bound is the lower of two cells; what shares
// a cell with it can only raise it. Used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "common/number/units.h"
#include "common/table/key_seed.h"

namespace tenfold {

class UpperBounds {
 public:
  // The bounds of an empty set, which are all 0.
  explicit UpperBounds(size_t bytes);

  // The indexes of a key's two cells.
  struct Place {
    size_t first;
    size_t second;
  };
  Place Find(std::string_view key) const;
  // Prefetches the cells.
  void Prefetch(const Place& place) const;

  // Returns the bound, which is 0 or more.
  Units Bound(const Place& place) const;
  // Raises the bound of the key there to at least `total`, which is below the ceiling.
  void Raise(const Place& place, Units total);

  // Allows totals up to this ceiling, which never falls. The step of the cells grows with it.
  void RaiseCeiling(Units ceiling);

  // Halves the memory, which makes bounds higher. Returns false if there is hardly any memory to free.
  bool Halve();
  size_t bytes() const { return cells_.size() * sizeof(Cell); }

 private:
  using Cell = uint16_t;

  uint64_t seed_ = KeySeed();
  std::vector<Cell> cells_;
  // A cell of c says: at most c * 2^shift_.
  int shift_ = 0;
};

}  // namespace tenfold
