#include "driver/core/partition_search.h"

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

constexpr int64_t kSecondUs = 1'000'000;

class PartitionSearchTest : public ::testing::Test {
 protected:
  static Partition Of(int32_t index, int64_t start) {
    Partition partition;
    partition.set_topic("events");
    partition.set_partition(index);
    partition.set_start_offset(start);
    return partition;
  }
  static JobSubmitted Submitted() {
    JobSubmitted submitted;
    for (int32_t p = 0; p < 2; ++p) *submitted.add_partitions() = Of(p, 10);
    return submitted;
  }
  static FoundPartitions Gone() { return {.added = {}, .begins = {10, -1}, .gone = {1}, .compacted = ""}; }

  JournalledJob job_{Submitted(), 0, "kafka:9092"};
  PartitionSearch search_{&job_};
};

TEST_F(PartitionSearchTest, SearchesOneAtATimeAndAgainAfterAWhile) {
  EXPECT_TRUE(search_.Begin(0));
  EXPECT_FALSE(search_.Begin(100 * kSecondUs));
  search_.OnAnswer(FoundPartitions(), 100 * kSecondUs);
  EXPECT_FALSE(search_.Begin(101 * kSecondUs));
  EXPECT_EQ(search_.NextTimeUs(), 102 * kSecondUs);
  EXPECT_TRUE(search_.Begin(102 * kSecondUs));
}

TEST_F(PartitionSearchTest, TakesWhatIsNewOnce) {
  search_.OnAnswer(FoundPartitions{.added = {Of(1, 10), Of(2, 0)}, .begins = {10, 10}, .gone = {}, .compacted = ""}, 0);
  const std::vector<Partition> taken = search_.Take();
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0].partition(), 2);
  EXPECT_TRUE(search_.Take().empty());
}

TEST_F(PartitionSearchTest, ANewSpecNeedsANewAnswerAndEndsAHoldOnlyIfItAllowsThat) {
  search_.OnAnswer(FoundPartitions{.added = {}, .begins = {10, 10}, .gone = {}, .compacted = "events"}, 0);
  EXPECT_TRUE(search_.answered());
  search_.Restart();
  EXPECT_FALSE(search_.answered());
  EXPECT_EQ(search_.compacted(), "events");
  search_.OnAnswer(absl::UnavailableError("Kafka is away"), kSecondUs);
  EXPECT_FALSE(search_.answered());
  job_.spec.mutable_source()->set_allow_compacted(true);
  search_.Restart();
  EXPECT_EQ(search_.compacted(), "");
}

TEST_F(PartitionSearchTest, FailsOncePartitionsAreGoneForLong) {
  search_.OnAnswer(Gone(), 0);
  EXPECT_EQ(search_.Failure(9 * kSecondUs), "");
  search_.OnAnswer(Gone(), 10 * kSecondUs);
  EXPECT_TRUE(absl::StrContains(search_.Failure(10 * kSecondUs), "events[1] no longer exists"));
}

TEST_F(PartitionSearchTest, DoesNotFailWhereTheyComeBackOrNobodyCouldSay) {
  search_.OnAnswer(Gone(), 0);
  search_.OnAnswer(FoundPartitions{.added = {}, .begins = {10, 10}, .gone = {}, .compacted = ""}, 8 * kSecondUs);
  search_.OnAnswer(Gone(), 9 * kSecondUs);
  EXPECT_EQ(search_.Failure(12 * kSecondUs), "");
  search_.OnAnswer(absl::UnavailableError("Kafka is away"), 18 * kSecondUs);
  EXPECT_EQ(search_.Failure(30 * kSecondUs), "");
}

TEST_F(PartitionSearchTest, APauseOfTheDriverDoesNotCount) {
  search_.OnAnswer(Gone(), 0);
  search_.OnPaused(60 * kSecondUs);
  EXPECT_EQ(search_.Failure(61 * kSecondUs), "");
  EXPECT_NE(search_.Failure(70 * kSecondUs), "");
}

}  // namespace
}  // namespace tenfold
