// The rules for the part of a JobSpec that says what a result is: rank, order, having and top. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "job_spec.pb.h"
#include "jobs/spec/spec_rules.h"

namespace tenfold {

// How many groups a result may have: so many tops are within what a result may have, and kMaxGroups at most. 0 if one alone
// is too large. The spec has a top and measures.
uint32_t MostGroups(const JobSpec& spec);

// Returns all violations.
std::vector<SpecViolation> CheckResultRules(const JobSpec& spec);

}  // namespace tenfold
