// A job whose journal is not the one that workers, or sinks, know stops.
#include "driver/core/lineage.h"

#include "tests/unit/driver/job_machine_fixture.h"

namespace tenfold {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

BatchCommitted Batch() {
  BatchCommitted batch;
  batch.set_batch(7);
  batch.add_next_offsets(10);
  batch.add_digests()->set_low(5);
  batch.add_top()->set_key("page1");
  return batch;
}

TEST(LineageOfTest, IsOfWhatABatchSaysAndOfNothingElse) {
  const Lineage lineage = LineageOf(Batch());
  EXPECT_EQ(lineage.batch(), 7u);
  BatchCommitted same = Batch();
  same.set_published_at_us(99);
  same.set_attempt(3);
  same.mutable_timings()->set_fold_us(5);
  EXPECT_EQ(LineageOf(same).hash(), lineage.hash());
  BatchCommitted other = Batch();
  other.mutable_digests(0)->set_low(6);
  EXPECT_NE(LineageOf(other).hash(), lineage.hash());
  other = Batch();
  other.mutable_top(0)->set_key("page2");
  EXPECT_NE(LineageOf(other).hash(), lineage.hash());
  EXPECT_EQ(LineageOf(BatchCommitted()).batch(), 0u);
}

class LineageTest : public JobMachineTest {
 protected:
  // Both workers are to be told of the job again; returns what they are told.
  std::vector<Send<AssignRequest>> RunToAssigns() {
    Apply(Update(Submitted().spec()));
    now_us_ += kIntervalUs;
    job_.OnTime(now_us_, &actions_);
    AnswerEnds({15, 20});
    return Take<Send<AssignRequest>>();
  }
};

TEST_F(LineageTest, RequestsNameTheLastBatch) {
  const std::vector<Send<FoldRequest>> first = RunToFolds({10, 20});
  EXPECT_FALSE(first[0].request.id().has_lineage());
  Apply(FoldAll(first, 1, 1));
  const Lineage lineage = RunToFolds({15, 20})[1].request.id().lineage();
  EXPECT_EQ(lineage.batch(), 1u);
  EXPECT_EQ(lineage.hash(), LineageOf(job_.job().last_batch).hash());
}

TEST_F(LineageTest, TheJobStopsWhereAWorkerKnowsALaterBatch) {
  CommitFirst();
  const std::vector<Send<AssignRequest>> assigns = RunToAssigns();
  ASSERT_THAT(assigns, SizeIs(2));
  job_.OnReply(assigns[1], absl::OutOfRangeError("knows batch 9 of the job, and the journal ends at batch 1"), now_us_,
               &actions_);
  const JournalRecord record = TakeRecord();
  ASSERT_TRUE(record.has_job_failed());
  EXPECT_THAT(
      record.job_failed().reason(),
      HasSubstr("worker b knows batch 9 of the job, and the journal ends at batch 1: the driver runs on an older copy"));
  EXPECT_THAT(record.job_failed().reason(), HasSubstr("cancel the job and submit it anew"));
}

TEST_F(LineageTest, AFoldThatIsRefusedForItStopsTheJobToo) {
  CommitFirst();
  const std::vector<Send<FoldRequest>> folds = RunToFolds({15, 20});
  Reply(folds[0], absl::OutOfRangeError("knows another batch 1 of the job than the journal has"));
  EXPECT_TRUE(TakeRecord().has_job_failed());
}

TEST_F(LineageTest, AnEarlierBatchThatAWorkerKnowsIsComparedWithTheJournal) {
  CommitFirst();
  Apply(FoldAll(RunToFolds({15, 20}), 1, 1));
  const std::vector<Send<AssignRequest>> assigns = RunToAssigns();
  AssignReply reply;
  reply.mutable_lineage()->set_batch(1);
  reply.mutable_lineage()->set_hash(77);
  job_.OnReply(assigns[0], reply, now_us_, &actions_);
  const std::vector<CompareLineage> compared = Take<CompareLineage>();
  ASSERT_THAT(compared, SizeIs(1));
  EXPECT_EQ(compared[0].worker, "a");
  EXPECT_EQ(compared[0].lineage.hash(), 77u);
  EXPECT_FALSE(TakeRecord().has_job_failed());
  job_.OnForked("worker a", "knows another batch 1 of the job than the journal has", now_us_, &actions_);
  EXPECT_TRUE(TakeRecord().has_job_failed());
}

TEST_F(LineageTest, AWorkerThatKnowsTheLastBatchNeedsNoComparison) {
  CommitFirst();
  const std::vector<Send<AssignRequest>> assigns = RunToAssigns();
  AssignReply reply;
  *reply.mutable_lineage() = LineageOf(job_.job().last_batch);
  job_.OnReply(assigns[0], reply, now_us_, &actions_);
  EXPECT_THAT(Take<CompareLineage>(), IsEmpty());
}

// What is on its way to the journal is decided; the job stops right after.
TEST_F(LineageTest, ABatchThatIsBeingCommittedIsNotHeldUp) {
  CommitFirst();
  const JournalRecord batch = FoldAll(RunToFolds({15, 20}), 1, 1);
  job_.OnForked("sink stdout", "has batch 9 of the job, and the journal ends at batch 1", now_us_, &actions_);
  EXPECT_EQ(TakeRecord().kind_case(), JournalRecord::KIND_NOT_SET);
  Apply(batch);
  EXPECT_THAT(TakeRecord().job_failed().reason(), HasSubstr("sink stdout has batch 9 of the job"));
}

}  // namespace
}  // namespace tenfold
