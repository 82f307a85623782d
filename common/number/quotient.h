// A quotient of two sums of a row, each with a constant added, as a measure that may rank: its value is exact and compared
// so. Sums of two parts of a job's records do not give it; so only totals have it. Pure.
#pragma once

#include <compare>
#include <cstddef>
#include <optional>
#include <span>

#include "common/number/units.h"

namespace tenfold {

class Fraction;

struct Quotient {
  // Which of a row's sums is divided, and by which.
  size_t dividend = 0;
  size_t divisor = 0;
  // Which sums count the values of both that were not null, where they may be.
  std::optional<size_t> dividend_present;
  std::optional<size_t> divisor_present;
  // What is added to both, in units of 1e-9.
  Units dividend_added = 0;
  Units divisor_added = 0;

  bool operator==(const Quotient&) const = default;

  // Whether it has a value: nothing of it is null and the divisor is above 0.
  bool HasValue(std::span<const Units> sums) const;
  // It has a value there.
  Fraction ValueOf(std::span<const Units> sums) const;
  // A number that rises with the value, equal for some that are not: the value times 2^64, rounded down, and at most as
  // large as 2^126 in size. 0 without a value.
  Units Approximate(std::span<const Units> sums) const;
  // Compares the values of two rows exactly; both have one.
  std::strong_ordering Compare(std::span<const Units> a, std::span<const Units> b) const;
};

}  // namespace tenfold
