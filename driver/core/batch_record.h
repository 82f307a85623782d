// The journal's record of a batch, made of what its attempt has. Pure.
#pragma once

#include <vector>

#include "common/number/ranking.h"
#include "driver/core/attempt.h"
#include "driver/core/journalled_job.h"
#include "driver/merge/global_top_k.h"
#include "journal.pb.h"

namespace tenfold {

// The job's next batch, whose replies cover every partition once: offsets, digests, counts, result, proof, and the times of
// the workers. `counters` are those of every partition, by index.
BatchCommitted MakeBatchRecord(const JournalledJob& job, const Attempt& attempt, const std::vector<PartitionState>& counters,
                               const GlobalTopK::Result& result);

// A final window with its result.
FinalWindow MakeFinalWindow(int64_t window, const GlobalTopK::Result& result, const Ranking& ranking);

}  // namespace tenfold
