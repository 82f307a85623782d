#include "jobs/plan/measures.h"

namespace tenfold {

std::optional<Units> RowMeasure::ValueOf(std::span<const Units> sums) const {
  // What another process sent may lack some.
  if (sum >= sums.size() || (present && *present >= sums.size())) return std::nullopt;
  if (present && sums[*present] == 0) return std::nullopt;
  return sums[sum];
}

JobMeasures MeasuresOf(const JobSpec& spec) {
  JobMeasures of;
  size_t sums = 0;
  for (const Measure& measure : spec.fold().general().measures()) {
    RowMeasure& made = of.measures.emplace_back();
    made.name = measure.name();
    made.sum = sums++;
    if (measure.nullable()) made.present = sums++;
    if (measure.name() == spec.rank()) of.ranked = of.measures.size() - 1;
  }
  if (of.measures.empty()) of.measures.push_back({.name = kScoreMeasure, .sum = 0, .present = {}});
  if (sums == 0) sums = 1;
  of.ranking = {.sums = sums, .by = of.measures[of.ranked].sum, .ascending = spec.order() == ORDER_ASCENDING};
  return of;
}

std::vector<Units> SumsOf(const Entry& entry) {
  std::vector<Units> sums{FromProto(entry.sum())};
  for (const Int128& other : entry.others()) sums.push_back(FromProto(other));
  return sums;
}

}  // namespace tenfold
