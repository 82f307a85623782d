// A job's plan in words for people, from a record to the result. Pure.
#pragma once

#include <string>

#include "job_spec.pb.h"

namespace tenfold {

// Returns the plan of a sound spec, without secrets: what each step does and with which types, which path decodes, what a
// state keeps, how workers' sums are merged, and which limits hold.
std::string Explain(const JobSpec& spec);

}  // namespace tenfold
