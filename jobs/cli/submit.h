// A job spec, given to the driver.
#pragma once

#include "job_spec.pb.h"
#include "jobs/cli/output.h"
#include "jobs/cli/verbs.h"

namespace tenfold {

// Whether a spec makes a job, or is given to the job of its name, with its state or with one that is built anew where the
// spec folds otherwise.
enum class SubmitKind { kNew, kUpdate, kRefold };

// Submits the spec, and prints the job id. Returns the exit code.
int SubmitSpec(const CliGlobals& globals, const JobSpec& spec, SubmitKind kind, OutputFormat output);

}  // namespace tenfold
