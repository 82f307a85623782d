// Divides the memory that a worker may use (--memory). Pure.
//
// 48 MiB are for the process itself, and kJobBytes for each job after the first, in all a third of the rest at most: that is
// how many jobs fit. The rest R is divided:
//   1/4  R  totals: held keys and upper bounds (worker/totals/bounded_totals.h), and the changes kept for the driver
//   3/16 R  the batch under way: delta tables, their sorted copies, the write to the store
//   3/16 R  readers: what is fetched ahead
//   1/4  R  the store: memtables, and cached blocks, indexes and filters
//   1/8  R  unused: what was freed and the allocator has not returned
// Totals, batch and readers are divided evenly between the jobs. Of a job's batch and readers, its
// sums have 3/4, and 1/4 is kept for shards that are prepared to be taken over.
#pragma once

#include <algorithm>
#include <cstddef>

namespace tenfold {

// The least --memory that is accepted.
inline constexpr size_t kMinMemoryBytes = 64 << 20;

// What one job may use; 0 everywhere means no limit.
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
  // What a job takes besides: its client of Kafka, its threads' stacks, its memtables.
  static constexpr size_t kJobBytes = 5 << 19;

  // --memory in bytes; 0 if there is no limit.
  size_t bytes = 0;

  // How many jobs it suffices for.
  size_t Jobs() const { return 1 + Rest() / 3 / kJobBytes; }
  size_t StoreBytes() const { return Rest() / 4; }
  JobMemory OfOneOf(size_t jobs) const {
    const size_t rest = Rest() - std::min(Rest() / 3, (jobs - 1) * kJobBytes);
    const size_t lanes = rest / 16 * 3 / jobs;
    return {rest / 4 / jobs, {lanes / 4 * 3, lanes / 4 * 3}, {lanes / 4, lanes / 4}};
  }

 private:
  static constexpr size_t kOwnBytes = 48 << 20;
  size_t Rest() const { return bytes == 0 ? 0 : bytes - kOwnBytes; }
};

}  // namespace tenfold
