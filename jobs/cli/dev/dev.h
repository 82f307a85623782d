// The job of `tenfold dev`.
#pragma once

#include <string>

#include "job_spec.pb.h"

namespace tenfold {

// Returns the spec of a ready job (jobs/feed/ready_jobs.h), without its sinks.
JobSpec DevSpec(const std::string& job);

}  // namespace tenfold
