// Writes a job spec, the inverse of jobs/spec/job_spec.h: what it writes reads back as an equal JobSpec. Pure.
#pragma once

#include <string>

#include "job_spec.pb.h"
#include "nlohmann/json.hpp"

namespace tenfold {

// Returns the spec with the keys of its YAML form, in the order in which README lists them, and with all property values:
// a spec that is shown to people must go through WithoutSecrets first.
nlohmann::ordered_json SpecJson(const JobSpec& spec);

// Returns the spec as YAML, one line for each key.
std::string WriteJobSpec(const JobSpec& spec);

}  // namespace tenfold
