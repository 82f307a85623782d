#include "driver/core/batch_planner.h"

#include <cstdint>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(PlanBatchTest, ReachesFromTheNextOffsetsToTheEnds) {
  const BatchPlan plan = PlanBatch({5, 0, 7}, {12, 3, 7});
  EXPECT_THAT(plan.targets, ElementsAre(12, 3, 7));
  EXPECT_EQ(plan.lag, 10u);
  EXPECT_THAT(plan.truncated, IsEmpty());
}

TEST(PlanBatchTest, HasNoLagWhereNothingCame) {
  EXPECT_EQ(PlanBatch({4, 9}, {4, 9}).lag, 0u);
  EXPECT_EQ(PlanBatch({}, {}).lag, 0u);
}

TEST(PlanBatchTest, NeverGoesBackWhereAPartitionEndsBelowWhatIsFolded) {
  const BatchPlan plan = PlanBatch({10, 20, 30}, {4, 25, 29});
  EXPECT_THAT(plan.targets, ElementsAre(10, 25, 30));
  EXPECT_THAT(plan.truncated, ElementsAre(0u, 2u));
  EXPECT_EQ(plan.lag, 5u) << "the partitions that lost records have none left to fold";
}

TEST(PlanBatchTest, CountsALagBeyond63Bits) {
  const int64_t last = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(PlanBatch({0, 0}, {last, last}).lag, 2 * static_cast<uint64_t>(last));
}

TEST(FoldBudgetTest, LeavesATenthOfTheIntervalAndTheOverhead) {
  EXPECT_EQ(FoldBudgetMs(2000, 0), 1800u);
  EXPECT_EQ(FoldBudgetMs(2000, 300), 1500u);
}

TEST(FoldBudgetTest, IsAtLeastAQuarterOfTheIntervalWhateverTheOverhead) {
  EXPECT_EQ(FoldBudgetMs(2000, 1500), 500u);
  EXPECT_EQ(FoldBudgetMs(2000, 1800), 500u);
  EXPECT_EQ(FoldBudgetMs(2000, std::numeric_limits<uint32_t>::max()), 500u);
}

TEST(FoldBudgetTest, IsLongEnoughForAFetchAndShortEnoughForAMove) {
  EXPECT_EQ(FoldBudgetMs(10, 0), 20u);
  EXPECT_EQ(FoldBudgetMs(3'600'000, 0), 10'000u);
}

TEST(NextStartTest, KeepsTheIntervalWhenCaughtUp) { EXPECT_EQ(NextStart(1000, 1300, 2000, false), 3000); }

TEST(NextStartTest, IsAtOnceWithABacklog) { EXPECT_EQ(NextStart(1000, 1300, 2000, true), 1300); }

TEST(NextStartTest, IsAtOnceAfterABatchLongerThanTheInterval) { EXPECT_EQ(NextStart(1000, 4500, 2000, false), 4500); }

}  // namespace
}  // namespace tenfold
