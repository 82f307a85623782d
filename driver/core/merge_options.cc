#include "driver/core/merge_options.h"

#include <utility>
#include <vector>

#include "jobs/decode/having.h"
#include "jobs/plan/having.h"
#include "jobs/plan/measures.h"

namespace tenfold {

BatchMerge::Options MergeOptionsOf(const JobSpec& spec, uint64_t floor, std::shared_ptr<MergeMemory> memory) {
  ResultRules rules = {.ranking = MeasuresOf(spec).ranking,
                       .condition = MakeRowCondition(spec),
                       .least = {},
                       .groups = spec.fold().general().group().empty() ? 0 : spec.groups()};
  std::vector<PlanProblem> problems;
  if (const std::shared_ptr<const Plan> plan = MakeHavingPlan(spec, &problems)) rules.least = LeastRanked(spec, *plan);
  return {.top = spec.top(), .rules = std::move(rules), .floor = floor, .memory = std::move(memory)};
}

}  // namespace tenfold
