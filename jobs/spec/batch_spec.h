// What of a job's spec decides its results and may change while it runs: top, groups, rank, order and having. A batch keeps
// them as they were when it was made, so that it can be shown and recomputed whatever the spec says by then. Pure.
#pragma once

#include "job_spec.pb.h"
#include "journal.pb.h"

namespace tenfold {

// What a batch keeps of the spec that it is made by, beside `k`.
ResultSpec ResultSpecOf(const JobSpec& spec);

// Whether a batch of this spec would have the same result at the same offsets. One that does not say what it was made by is
// taken for one of this spec.
bool IsResultOf(const BatchCommitted& batch, const JobSpec& spec);

// The job's spec as it was for the batch.
JobSpec SpecOfBatch(JobSpec spec, const BatchCommitted& batch);

}  // namespace tenfold
