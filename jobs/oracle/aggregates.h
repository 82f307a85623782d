// The oracle's own reading of measures: which sums a row has for them, what a record adds to each, and what a measure is by
// them. Shares nothing with jobs/plan. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "job_spec.pb.h"
#include "jobs/oracle/formula.h"

namespace tenfold::oracle {

// sum(..), count(..), max(..) or min(..), or one of a quotient.
struct Aggregate {
  bool counts = false;
  // Of max(..) or min(..) the first sum of a row is the highest of x + 2^63, or of 2^63 - x, in units, and 0 without any x.
  // The sum of all x is behind it.
  bool is_max = false;
  bool is_min = false;
  // None for count().
  std::optional<Formula> of;
  // Behind its sum the row has how many of its values were not null.
  bool has_present = false;
  // No record may add a negative number.
  bool divides = false;
  // What stands beside it in a quotient.
  Rational added = 0;
  // Its place among the sums of a row.
  size_t sum = 0;
  size_t sums() const { return 1 + static_cast<size_t>(is_max || is_min) + static_cast<size_t>(has_present); }
};

struct MeasureOfRow {
  std::string name;
  // One, or dividend and divisor.
  std::vector<Aggregate> parts;

  // Its value by the sums of a row, in units of 1e-9; nullopt if it is null.
  std::optional<Rational> ValueOf(const std::vector<BigInt>& sums) const;
};

// Adds the sums of rows that are of the same measures: of max(..) and min(..) the higher one counts.
class RowSums {
 public:
  explicit RowSums(const std::vector<MeasureOfRow>& measures);
  void Add(const std::vector<BigInt>& added, std::vector<BigInt>* sums) const;
  bool IsHighest(size_t sum) const { return is_highest_[sum]; }

 private:
  std::vector<bool> is_highest_;
};

// The fold has passed the rules. One without expressions has one measure of one sum.
std::vector<MeasureOfRow> ReadMeasures(const Fold& fold);

}  // namespace tenfold::oracle
