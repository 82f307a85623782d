#include "worker/core/capacity.h"

#include "gtest/gtest.h"

namespace tenfold {
namespace {

constexpr size_t kMany = size_t{1} << 30;

TEST(CapacityTest, AHundredJobsFitAmong4096OpenFiles) {
  const Capacity capacity = CapacityOf(4096, kMany, {});
  EXPECT_GE(capacity.max_jobs, 100u);
  EXPECT_EQ(capacity.limit, "its limit of 4096 open files");
  EXPECT_GT(capacity.extra_readers, 0u);
}

TEST(CapacityTest, TheTighterLimitIsTold) {
  const Capacity capacity = CapacityOf(4096, kMany, {.bytes = 64 << 20});
  EXPECT_EQ(capacity.limit, "its --memory of 64MiB");
  EXPECT_GE(capacity.max_jobs, 2u);
  EXPECT_LT(capacity.max_jobs, 10u);
  EXPECT_EQ(CapacityOf(1024, kMany, {.bytes = size_t{64} << 30}).limit, "its limit of 1024 open files");
}

TEST(CapacityTest, ThreadsLimitJobsToo) {
  const Capacity capacity = CapacityOf(4096, 500, {});
  EXPECT_EQ(capacity.limit, "its limit of 500 threads");
  EXPECT_GE(capacity.max_jobs, 20u);
  EXPECT_LE(capacity.max_jobs, 30u);
  EXPECT_EQ(CapacityOf(4096, 30, {}).max_jobs, 1u);
}

TEST(CapacityTest, OneJobFitsInAnyCase) {
  EXPECT_EQ(CapacityOf(64, kMany, {.bytes = kMinMemoryBytes}).max_jobs, 1u);
  EXPECT_GT(CapacityOf(kMany, kMany, {}).max_jobs, 10'000u);
}

}  // namespace
}  // namespace tenfold
