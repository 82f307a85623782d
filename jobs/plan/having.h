// A job's `having`: the condition on its measures that a key fulfils to be ranked. Pure.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "common/number/units.h"
#include "job_spec.pb.h"
#include "jobs/plan/plan.h"

namespace tenfold {

// Returns the plan of the condition: a field for each measure, in their order, and the condition as its `where`; without a
// condition `where` has no node. Nullptr with every problem appended, at the path "having", if it cannot be carried out.
std::shared_ptr<const Plan> MakeHavingPlan(const JobSpec& spec, std::vector<PlanProblem>* problems);

// Rewrites `having` in its canonical form. It has a plan.
void MakeHavingCanonical(JobSpec* spec);

// Returns a number that what ranks (Ranking::Of) is not below where the condition holds, if the condition says one: a part
// of it that must hold compares the measure that ranks with a constant.
std::optional<Units> LeastRanked(const JobSpec& spec, const Plan& having);

}  // namespace tenfold
