// What the keys of a job are ranked by: one of the sums of their rows, from the highest down or from the lowest up. Pure.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "common/number/units.h"

namespace tenfold {

struct Ranking {
  // How many sums a row has: the first, and the others behind it.
  size_t sums = 1;
  // Which of them ranks.
  size_t by = 0;
  // Whether the lowest comes first.
  bool ascending = false;

  bool operator==(const Ranking&) const = default;

  // What a row is ranked by, the highest first: the sum, or its negative. A sum may be any number, as a peer or a damaged
  // file may give it, so it is negated modulo 2^128.
  Units Of(Units first, std::span<const Units> others) const { return Turned(by == 0 ? first : others[by - 1]); }
  // The sum that ranks, of what a row is ranked by, and the other way round.
  Units Turned(Units sum) const { return ascending ? static_cast<Units>(0 - static_cast<Uint128>(sum)) : sum; }
};

// Whether a key with these sums may be in a result, as the job's `having` says. Pure.
using RowCondition = std::function<bool(std::span<const Units> sums)>;

}  // namespace tenfold
