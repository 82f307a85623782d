#include "worker/core/memory_budget.h"

#include "gtest/gtest.h"

namespace tenfold {
namespace {

size_t Sum(const JobMemory& job) {
  return job.totals_bytes + job.sums.batch_bytes + job.sums.reader_bytes + job.preparation.batch_bytes +
         job.preparation.reader_bytes;
}

TEST(MemoryBudgetTest, WithoutALimitNothingHasOne) {
  const MemoryBudget budget;
  EXPECT_EQ(budget.StoreBytes(), 0u);
  EXPECT_EQ(Sum(budget.OfOneOf(3)), 0u);
}

TEST(MemoryBudgetTest, PartsAreWithinTheWholeHoweverManyJobs) {
  for (const size_t bytes : {kMinMemoryBytes, size_t{256} << 20, size_t{100} << 30}) {
    const MemoryBudget budget{bytes};
    for (const size_t jobs : {size_t{1}, size_t{2}, budget.Jobs() / 2, budget.Jobs()}) {
      const size_t used = budget.StoreBytes() + jobs * Sum(budget.OfOneOf(jobs)) + (jobs - 1) * MemoryBudget::kJobBytes;
      EXPECT_LE(used, bytes - (48 << 20));
      EXPECT_GT(used, (bytes - (48 << 20)) / 8 * 6);
    }
  }
}

}  // namespace
}  // namespace tenfold
