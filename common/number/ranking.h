// A job ranks its keys by one of the sums or heights of their rows, or by a quotient of two sums, from the highest down or
// from the lowest up. Pure.
#pragma once

#include <compare>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>

#include "common/number/height.h"
#include "common/number/quotient.h"
#include "common/number/units.h"

namespace tenfold {

struct Ranking {
  // How many sums a row has: the first, and the others behind it.
  size_t sums = 1;
  // Which of them ranks.
  size_t by = 0;
  // The lowest comes first; of heights that is the lowest one, which the highest min(x) has.
  bool ascending = false;
  // Set where a quotient ranks. A worker's sums, and bounds of them, say nothing of it, so what compares partials goes by
  // the sum `by`, which is as good as any.
  std::optional<Quotient> quotient = {};
  // Which of the sums are heights.
  HeightSet heights = {};

  bool operator==(const Ranking&) const = default;

  // What partials are compared by.
  Ranking OfPartials() const { return {.sums = sums, .by = by, .ascending = ascending, .quotient = {}, .heights = heights}; }
  // A height ranks, so that a total is no sum of partials.
  bool IsByHeight() const { return !quotient && heights.Has(by); }
  // Joins sum m of two partials, or of a total and what is added to it.
  Units Join(size_t m, Units a, Units b) const { return Joined(heights.Has(m), a, b); }

  // What a row is ranked by, the highest first: the sum, or its negative. A sum may be any number, as a peer or a damaged
  // file may give it, so it is negated modulo 2^128.
  Units Of(Units first, std::span<const Units> others) const { return Turned(by == 0 ? first : others[by - 1]); }
  // The sum that ranks, of what a row is ranked by, and the other way round.
  Units Turned(Units sum) const { return ascending ? static_cast<Units>(0 - static_cast<Uint128>(sum)) : sum; }

  // What a total is ranked by, the highest first. Where a quotient ranks that is its approximate value: equal ones are to be
  // compared by Compare, too.
  Units OfTotal(std::span<const Units> total) const {
    return Turned(quotient ? quotient->Approximate(total) : by < total.size() ? total[by] : 0);
  }
  // How two totals whose OfTotal is equal compare; `less` for one that comes first. Of a quotient both have a value.
  std::strong_ordering Compare(std::span<const Units> a, std::span<const Units> b) const {
    if (!quotient) return std::strong_ordering::equal;
    return ascending ? quotient->Compare(a, b) : quotient->Compare(b, a);
  }
};

// Whether a key with these sums may be in a result, as the job's `having` says. Pure.
using RowCondition = std::function<bool(std::span<const Units> sums)>;

}  // namespace tenfold
