// A job that the user pauses.
#include "tests/unit/driver/job_machine_fixture.h"

namespace tenfold {
namespace {

TEST_F(JobMachineTest, APausedJobMakesNoBatchUntilItGoesOn) {
  const std::vector<Send<FoldRequest>> folds = RunToFold({10, 10});
  ASSERT_EQ(folds.size(), 2u);
  Apply(SetPaused(true));
  EXPECT_EQ(job_.state(), JOB_PAUSED);
  EXPECT_EQ(job_.Status().paused_at_us(), now_us_);
  // Replies of the attempt that has ended, and time, begin nothing.
  for (const Send<FoldRequest>& fold : folds) job_.OnReply(fold, FoldReply(), now_us_, &actions_);
  now_us_ += 10 * kIntervalUs;
  job_.OnTime(now_us_, &actions_);
  // It only looks how far the partitions go.
  const std::vector<QueryEnds> looks = Take<QueryEnds>();
  ASSERT_FALSE(looks.empty());
  job_.OnEnds(looks.back().query, {12, 15}, now_us_, &actions_);
  EXPECT_EQ(job_.lag(), 27u);
  EXPECT_TRUE(Take<Send<FoldRequest>>().empty());
  EXPECT_FALSE(TakeRecord().has_batch_committed());

  const int64_t since = job_.Status().paused_at_us();
  Apply(SetPaused(true));
  EXPECT_EQ(job_.Status().paused_at_us(), since) << "it was paused already";
  Apply(SetPaused(false));
  EXPECT_EQ(job_.state(), JOB_RUNNING);
  AnswerEnds({12, 15});
  EXPECT_EQ(Take<Send<FoldRequest>>().size(), 2u) << "the next attempt begins at once";
}

TEST_F(JobMachineTest, AnUpdateOfAPausedJobIsJournalledAndLeavesItPaused) {
  RunToFold({10, 10});
  Apply(SetPaused(true));
  JobSpec spec = Submitted().spec();
  spec.set_top(1);
  const JournalRecord updated = Update(spec);
  ASSERT_TRUE(updated.has_job_updated());
  Apply(updated);
  EXPECT_EQ(job_.state(), JOB_PAUSED);
  EXPECT_EQ(job_.job().spec.top(), 1u);
  AnswerEnds({12, 15});
  EXPECT_TRUE(Take<Send<FoldRequest>>().empty());
}

}  // namespace
}  // namespace tenfold
