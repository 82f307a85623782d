// How the memory that a worker may use (--memory) is divided: the one place that knows. Pure.
//
// 48 MiB are the process's own. Of the rest R
//   1/4  R  totals: candidates and upper bounds (worker/totals/bounded_totals.h), and the changes kept for the driver
//   3/16 R  the batch under way: delta tables, their sorted copies, the write to the store
//   3/16 R  readers: what is fetched ahead
//   1/4  R  the store: memtables, and cached blocks, indexes and filters
//   1/8  R  nobody: what the allocator has freed but not given back
// Totals, batch and readers are a job's alone if there is one, and divided evenly between jobs. Of batch and readers a job's
// sums have 3/4, and 1/4 is kept for shards that are prepared to be taken over.
#pragma once

#include <cstddef>

namespace tenfold {

// Less is refused.
inline constexpr size_t kMinMemoryBytes = 64 << 20;

// Of one job; 0 everywhere: no limit.
struct JobMemory {
  struct Lane {
    // For one fold, all its threads together.
    size_t batch_bytes = 0;
    // For all readers of a fold together.
    size_t reader_bytes = 0;
  };
  size_t totals_bytes = 0;
  Lane sums;
  Lane preparation;
};

struct MemoryBudget {
  // 0 if there is no limit.
  size_t bytes = 0;

  size_t StoreBytes() const { return Rest() / 4; }
  JobMemory OfOneOf(size_t jobs) const {
    const size_t lanes = Rest() / 16 * 3 / jobs;
    return {Rest() / 4 / jobs, {lanes / 4 * 3, lanes / 4 * 3}, {lanes / 4, lanes / 4}};
  }

 private:
  static constexpr size_t kOwnBytes = 48 << 20;
  size_t Rest() const { return bytes == 0 ? 0 : bytes - kOwnBytes; }
};

}  // namespace tenfold
