// Plans what the next batch of a job folds, and when. Pure functions.
#pragma once

#include <cstdint>
#include <vector>

namespace tenfold {

struct BatchPlan {
  // By partition index: at least `next_offsets`.
  std::vector<int64_t> targets;
  // Records (offsets) between `next_offsets` and the ends.
  uint64_t lag = 0;
  // Partitions that end below what is folded: the topic was created again, or truncated. By index.
  std::vector<uint32_t> truncated;
};

// Plans to fold [next_offset, end) of every partition. `ends` are the partitions' last stable offsets.
BatchPlan PlanBatch(const std::vector<int64_t>& next_offsets, const std::vector<int64_t>& ends);

// Returns how long the fold of a batch may take, so that the batch takes about an interval while there is a backlog: the
// interval less what batches are expected to spend on everything else. A time is a better cap than a number of records,
// which has to be guessed from rates: a slow worker then folds less.
uint32_t FoldBudgetMs(uint32_t interval_ms, uint32_t overhead_ms);

// Returns when the next batch starts: at once while there is a backlog, else an interval after the previous one started.
// All times are in the same unit.
int64_t NextStart(int64_t started, int64_t now, int64_t interval, bool backlog);

}  // namespace tenfold
