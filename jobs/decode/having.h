// Whether keys may be in a job's results, by their sums: what `having` says, and that the measure which ranks is not null.
// Pure.
#pragma once

#include "common/number/ranking.h"
#include "job_spec.pb.h"

namespace tenfold {

// Returns the condition, or nullptr where every key may. The spec has passed the rules. A key for which the condition is
// null or has no value, as it divides by 0, may not. One thread at a time may call it.
RowCondition MakeRowCondition(const JobSpec& spec);

}  // namespace tenfold
