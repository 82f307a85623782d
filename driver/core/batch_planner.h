// Plan: what the next batch of a job folds, and when. Pure functions.
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

// Ranges [next_offset, end). `ends` are the partitions' last stable offsets.
BatchPlan PlanBatch(const std::vector<int64_t>& next_offsets, const std::vector<int64_t>& ends);

// How long a batch's fold may run, so that the batch takes about an interval while there is a backlog: the interval less
// what batches are expected to spend on everything else. The time a worker has is a better cap than a number of records,
// which has to be guessed from rates: a slow worker cuts itself.
uint32_t FoldBudgetMs(uint32_t interval_ms, uint32_t overhead_ms);

// When the batch after one that started at `started` starts: at once while a backlog remains, else an interval later.
// All in one unit.
int64_t NextStart(int64_t started, int64_t now, int64_t interval, bool backlog);

}  // namespace tenfold
