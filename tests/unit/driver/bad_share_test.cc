#include "driver/core/bad_share.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using testing::HasSubstr;

class BadShareTest : public testing::Test {
 protected:
  BadShareTest() : job_(JobSubmitted(), 0, "") { job_.spec.set_fail_above_ppm(50'000); }

  // The next batch has so many more records and bad ones. Returns why the job fails.
  std::string Fold(uint64_t records, uint64_t bad, bool is_last = false) {
    BatchCommitted batch;
    batch.set_batch(job_.last_batch.batch() + 1);
    batch.set_fold(job_.fold());
    batch.set_records(job_.last_batch.records() + records);
    batch.set_bad_records(job_.last_batch.bad_records() + bad);
    counters_[0].clear_bad();
    BadCount* count = counters_[0].add_bad();
    count->set_reason(BAD_MALFORMED_NUMBER);
    count->set_subject("clicks");
    count->set_count(batch.bad_records());
    std::string failure = share_.Check(job_, batch, counters_, is_last);
    job_.last_batch = batch;
    return failure;
  }

  JournalledJob job_;
  std::vector<PartitionState> counters_{1};
  BadShare share_;
};

TEST_F(BadShareTest, AJobFailsAboveTheShareOfItsLastThousandOrMore) {
  EXPECT_EQ(Fold(1000, 50), "");
  EXPECT_THAT(Fold(1000, 51), HasSubstr("51 of the last 1000 records are bad, mostly malformed_number of clicks, more than "
                                        "on_bad_record.fail_above allows (5%)"));
}

TEST_F(BadShareTest, FewRecordsAreLookedAtTogetherWithThoseBeforeThem) {
  EXPECT_EQ(Fold(900, 45), "");
  EXPECT_EQ(Fold(99, 0), "");
  EXPECT_EQ(Fold(1, 0), "");
  EXPECT_THAT(Fold(10, 10), HasSubstr("55 of the last 1010 records"));
}

TEST_F(BadShareTest, BatchesOfLongAgoDoNotCount) {
  EXPECT_EQ(Fold(100'000, 0), "");
  EXPECT_EQ(Fold(999, 999), "") << "999 of 100,999";
  EXPECT_THAT(Fold(1, 0), HasSubstr("999 of the last 1000 records"));
}

TEST_F(BadShareTest, TheLastBatchesThatHaveAThousandAreLookedAt) {
  EXPECT_EQ(Fold(100'000, 0), "");
  EXPECT_EQ(Fold(600, 0), "");
  EXPECT_EQ(Fold(500, 30), "");
  EXPECT_THAT(Fold(450, 60), HasSubstr("90 of the last 1550 records")) << "500 and 450 are fewer than a thousand";
}

TEST_F(BadShareTest, WhatIsFoldedBeforeTheLimitOrAnotherFoldHoldsIsNotJudged) {
  job_.spec.clear_fail_above_ppm();
  EXPECT_EQ(Fold(5000, 5000), "");
  job_.spec.set_fail_above_ppm(1);
  EXPECT_EQ(Fold(1000, 0), "");
  share_.Restart();
  job_.former_specs.push_back(job_.spec);
  EXPECT_EQ(Fold(10'000, 10'000), "") << "the first batch by the fold";
  EXPECT_EQ(Fold(1000, 0), "");
  EXPECT_THAT(Fold(1000, 1), HasSubstr("(0.0001%)"));
}

TEST_F(BadShareTest, ADriverThatStartsAgainGoesOnFromTheLastBatch) {
  EXPECT_EQ(Fold(5000, 0), "");
  share_ = BadShare();
  EXPECT_THAT(Fold(1000, 60), HasSubstr("60 of the last 1000 records"));
}

TEST_F(BadShareTest, OfAJobThatEndsAFewAreEnough) {
  EXPECT_EQ(Fold(10, 0, /*is_last=*/true), "");
  EXPECT_THAT(Fold(10, 2, /*is_last=*/true), HasSubstr("2 of the last 20 records"));
}

}  // namespace
}  // namespace tenfold
