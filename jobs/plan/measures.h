// The measures of a job: which sums of a row make each of them, and which one ranks. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/number/fraction.h"
#include "common/number/quotient.h"
#include "common/number/ranking.h"
#include "common/number/units.h"
#include "job_spec.pb.h"

namespace tenfold {

struct RowMeasure {
  std::string name;
  // Which of a row's sums it is, or of a quotient its dividend.
  size_t sum = 0;
  // Of one that may be null: which sum counts the values that were not.
  std::optional<size_t> present = {};
  // Set if it is one.
  std::optional<Quotient> quotient = {};

  // Whether it may be null.
  bool nullable() const { return present.has_value() || quotient.has_value(); }
  // Whether it has a value by the sums of a row, and is not null.
  bool HasValue(std::span<const Units> sums) const;
  // Its exact value; nullopt if it is null.
  std::optional<Fraction> ValueOf(std::span<const Units> sums) const;
  // The value in R1's text form, rounded to a multiple of 1e-9; nullopt if it is null.
  std::optional<std::string> TextOf(std::span<const Units> sums) const;
};

// The name of the one measure of a job that has a score.
inline constexpr char kScoreMeasure[] = "score";

struct JobMeasures {
  std::vector<RowMeasure> measures;
  // Which of them ranks; the first if the spec names none that there is.
  size_t ranked = 0;
  // The same for rows.
  Ranking ranking;
};

JobMeasures MeasuresOf(const JobSpec& spec);

// The sums of an entry, the first and the others.
std::vector<Units> SumsOf(const Entry& entry);

}  // namespace tenfold
