#include "driver/core/merge_options.h"

#include <utility>
#include <vector>

#include "jobs/decode/having.h"
#include "jobs/plan/having.h"
#include "jobs/plan/measures.h"

namespace tenfold {

BatchMerge::Options MergeOptionsOf(const JobSpec& spec, uint64_t floor, std::shared_ptr<MergeMemory> memory) {
  GlobalTopK::Having having = {.ranking = MeasuresOf(spec).ranking, .condition = MakeRowCondition(spec), .least = {}};
  std::vector<PlanProblem> problems;
  if (const std::shared_ptr<const Plan> plan = MakeHavingPlan(spec, &problems)) having.least = LeastRanked(spec, *plan);
  return {.top = spec.top(), .having = std::move(having), .floor = floor, .memory = std::move(memory)};
}

}  // namespace tenfold
