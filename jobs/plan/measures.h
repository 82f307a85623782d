// The measures of a job: which sums of a row make each of them, and which one ranks. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/number/ranking.h"
#include "common/number/units.h"
#include "job_spec.pb.h"

namespace tenfold {

struct RowMeasure {
  std::string name;
  // Which of a row's sums it is.
  size_t sum = 0;
  // Of one that may be null: which sum counts the values that were not.
  std::optional<size_t> present;

  // Its value by the sums of a row; nullopt if it is null.
  std::optional<Units> ValueOf(std::span<const Units> sums) const;
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
