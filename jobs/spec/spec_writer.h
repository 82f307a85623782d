// Writes a job spec: the inverse of jobs/spec/job_spec.h. What it writes reads back as an equal JobSpec. Pure.
#pragma once

#include <string>

#include "job_spec.pb.h"
#include "nlohmann/json.hpp"

namespace tenfold {

// The spec with the keys of its YAML form, in the order in which README lists them. Writes property values as they are:
// what is shown to people goes through WithoutSecrets first.
nlohmann::ordered_json SpecJson(const JobSpec& spec);

// The spec as YAML, a line a key.
std::string WriteJobSpec(const JobSpec& spec);

}  // namespace tenfold
