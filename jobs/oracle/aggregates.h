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

// sum(..) or count(..), or one of a quotient.
struct Aggregate {
  bool counts = false;
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
};

struct MeasureOfRow {
  std::string name;
  // One, or dividend and divisor.
  std::vector<Aggregate> parts;

  // Its value by the sums of a row, in units of 1e-9; nullopt if it is null.
  std::optional<Rational> ValueOf(const std::vector<BigInt>& sums) const;
};

// The fold has passed the rules. One without expressions has one measure of one sum.
std::vector<MeasureOfRow> ReadMeasures(const Fold& fold);

}  // namespace tenfold::oracle
