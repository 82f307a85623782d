// The rules for the part of a JobSpec that says what a result is: rank, order, having and top. Pure.
#pragma once

#include <vector>

#include "job_spec.pb.h"
#include "jobs/spec/spec_rules.h"

namespace tenfold {

// Returns all violations.
std::vector<SpecViolation> CheckResultRules(const JobSpec& spec);

}  // namespace tenfold
