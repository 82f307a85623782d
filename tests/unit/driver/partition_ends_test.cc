#include "driver/core/partition_ends.h"

#include "gtest/gtest.h"

namespace tenfold {
namespace {

class PartitionEndsTest : public testing::Test {
 protected:
  static JobSubmitted Submitted() {
    JobSubmitted submitted;
    submitted.add_partitions()->set_topic("events");
    return submitted;
  }
  void Take(int64_t end, int64_t watermark) {
    ends_.Take({end}, now_us_);
    ends_.TakeHighWatermarks({watermark}, holders_, now_us_);
    now_us_ += 10'000'000;
  }

  JournalledJob job_{Submitted(), 0, "kafka:9092"};
  PartitionEnds ends_{&job_};
  std::map<uint32_t, std::string> holders_;
  int64_t now_us_ = 1'000'000;
};

TEST_F(PartitionEndsTest, RecordsBehindAnEndThatStaysWaitForATransaction) {
  Take(100, 135);
  EXPECT_EQ(ends_.Status(0).held_back(), 0u) << "they may have come between the questions";
  ends_.TakeHighWatermarks({150}, {}, now_us_);
  EXPECT_EQ(ends_.Status(0).held_back(), 0u) << "nobody has asked for the end again";
  Take(100, 155);
  EXPECT_EQ(ends_.Status(0).held_back(), 50u);
  Take(100, 155);
  EXPECT_EQ(ends_.Status(0).held_back(), 55u);
  EXPECT_EQ(ends_.Status(0).held_back_since_us(), 1'000'000);
  ends_.Take({140}, now_us_);
  EXPECT_EQ(ends_.Status(0).held_back(), 0u) << "it has ended";
}

TEST_F(PartitionEndsTest, WhoHoldsThemBackIsKnownUntilTheEndMoves) {
  Take(100, 135);
  holders_ = {{0, "producer 4711"}};
  Take(100, 135);
  holders_.clear();
  Take(100, 135);
  EXPECT_EQ(ends_.Status(0).held_back_by(), "producer 4711");
  Take(120, 135);
  Take(120, 135);
  EXPECT_EQ(ends_.Status(0).held_back(), 15u);
  EXPECT_EQ(ends_.Status(0).held_back_by(), "");
}

TEST_F(PartitionEndsTest, AnEndThatMovesIsNotHeldBack) {
  for (int i = 0; i < 5; ++i) {
    Take(100 + 10 * i, 105 + 10 * i);
    EXPECT_EQ(ends_.Status(0).held_back(), 0u);
  }
  Take(200, 200);
  EXPECT_EQ(ends_.Status(0).held_back(), 0u);
}

TEST_F(PartitionEndsTest, WhatIsNotKnownIsNotHeldBack) {
  Take(100, 135);
  Take(100, -1);
  Take(100, 135);
  EXPECT_EQ(ends_.Status(0).held_back(), 0u);
}

}  // namespace
}  // namespace tenfold
