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

namespace tenfold {

class UpperBounds {
 public:
  // Of a set without a key: every total is 0 or less.
  explicit UpperBounds(size_t bytes);

  // Where a key's cells are.
  struct Place {
    size_t first;
    size_t second;
  };
  Place Find(std::string_view key) const;
  // Begins to bring the cells.
  void Prefetch(const Place& place) const;

  // 0 or more.
  Units Bound(const Place& place) const;
  // The total of the key there is now at most this, which is below the ceiling.
  void Raise(const Place& place, Units total);

  // Totals are below this from now on; it never comes down. The cells' step grows with it.
  void RaiseCeiling(Units ceiling);

  // Takes half the memory, and bounds are higher; false if it takes hardly any.
  bool Halve();
  size_t bytes() const { return cells_.size() * sizeof(Cell); }

 private:
  using Cell = uint16_t;

  std::vector<Cell> cells_;
  // A cell of c says: at most c * 2^shift_.
  int shift_ = 0;
};

}  // namespace tenfold
