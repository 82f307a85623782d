// The rules for the part of a JobSpec that says what is folded. Pure.
#pragma once

#include <vector>

#include "job_spec.pb.h"
#include "jobs/spec/spec_rules.h"

namespace tenfold {

// Returns all violations.
std::vector<SpecViolation> CheckFoldRules(const Fold& fold);

}  // namespace tenfold
