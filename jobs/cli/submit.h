// A job spec, given to the driver.
#pragma once

#include "job_spec.pb.h"
#include "jobs/cli/output.h"
#include "jobs/cli/verbs.h"

namespace tenfold {

// Submits the spec, or with `updates` gives it to the job of its name, and prints the job id. Returns the exit code.
int SubmitSpec(const CliGlobals& globals, const JobSpec& spec, bool updates, OutputFormat output);

}  // namespace tenfold
