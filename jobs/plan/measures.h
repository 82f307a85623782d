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
  // Which of a row's sums it is, or of a quotient its dividend; of max(x) and min(x) the height, and that of all x is behind
  // it.
  size_t sum = 0;
  enum class Kind { kSum, kMax, kMin };
  Kind kind = Kind::kSum;
  // Of one that may be null: which sum counts the values that were not.
  std::optional<size_t> present = {};
  // Set if it is one.
  std::optional<Quotient> quotient = {};

  bool is_height() const { return kind != Kind::kSum; }
  // The number of a sum or a height, and the other way round.
  Units NumberOf(Units of_row) const;
  Units SumOf(int64_t units) const;
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
  // Whether the lowest number comes first.
  bool ascending = false;

  // The number, in units of 1e-9, by which a row is ranked that has this in the order of the ranking (Ranking::Of); not
  // where a quotient ranks.
  Units RankedNumber(Units of_row) const {
    return measures.empty() ? ranking.Turned(of_row) : measures[ranked].NumberOf(ranking.Turned(of_row));
  }
};

JobMeasures MeasuresOf(const JobSpec& spec);

// The sums of an entry, the first and the others.
std::vector<Units> SumsOf(const Entry& entry);

}  // namespace tenfold
