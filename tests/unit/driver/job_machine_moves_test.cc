// When a job's shards move to another worker, and when a state that disagrees with the journal is folded again.
#include "tests/unit/driver/job_machine_fixture.h"

namespace tenfold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class JobMovesTest : public JobMachineTest {
 protected:
  // After batch 1 worker b is lost; what a has prepared of b's shard has another digest than the journal.
  void LoseBAndDisagree() {
    const std::vector<Send<PrepareRequest>> prepares = LoseB();
    ASSERT_THAT(prepares, SizeIs(1));
    PrepareReply reply;
    ShardPosition* position = reply.add_shards();
    position->set_shard(1);
    *position->mutable_offsets() = prepares[0].request.targets();
    position->mutable_digest()->set_high(1);
    job_.OnReply(prepares[0], reply, now_us_, &actions_);
  }
};

TEST_F(JobMachineTest, AShardOfACompactedTopicWaitsForItsOwner) {
  JobSpec spec = Submitted().spec();
  spec.mutable_source()->set_allow_compacted(true);
  Apply(Update(spec));
  CommitFirst();
  cluster_.workers["b"].state = WORKER_LOST;
  job_.OnWorkersChanged(now_us_, &actions_);
  EXPECT_FALSE(TakeRecord().has_shards_assigned());
  RunToFold({11, 20});
  EXPECT_EQ(job_.waiting().kind(), WAITING_ONLY_OWNER);
  EXPECT_TRUE(job_.waiting().compacted());
}

TEST_F(JobMachineTest, NoShardMovesBeforeKafkaHasToldWhatItHas) {
  CommitFirst();
  Apply(Update(Submitted().spec()));
  cluster_.workers["b"].state = WORKER_LOST;
  job_.OnWorkersChanged(now_us_, &actions_);
  EXPECT_FALSE(TakeRecord().has_shards_assigned());
  const auto moves_where_partitions_begin_at = [&](std::vector<int64_t> begins) {
    found_.begins = std::move(begins);
    job_.OnPartitions(found_, now_us_, &actions_);
    AnswerEnds({10, 20});
    return TakeRecord().has_shards_assigned();
  };
  EXPECT_FALSE(moves_where_partitions_begin_at({0, 1}));
  EXPECT_EQ(job_.waiting().kind(), WAITING_ONLY_OWNER);
  EXPECT_FALSE(moves_where_partitions_begin_at({0, -1})) << "it is not known whether the start of partition 1 is back";
  EXPECT_TRUE(moves_where_partitions_begin_at({0, 0}));
}

TEST_F(JobMovesTest, ANextOwnerThatDisagreesTakesNothingFromTheOwner) {
  ASSERT_NO_FATAL_FAILURE(LoseBAndDisagree());
  const JournalRecord record = TakeRecord();
  ASSERT_TRUE(record.has_shards_assigned());
  EXPECT_EQ(record.shards_assigned().shards(1).owner(), "b");
  EXPECT_EQ(record.shards_assigned().shards(1).next_owner(), "");
}

TEST_F(JobMovesTest, ANextOwnerThatDisagreedIsNamedAgainOnlyOnceItHasDroppedItsState) {
  ASSERT_NO_FATAL_FAILURE(LoseBAndDisagree());
  Take<Send<AssignRequest>>();
  Apply(TakeRecord());
  job_.OnPartitions(found_, now_us_, &actions_);
  AnswerEnds({10, 20});
  EXPECT_FALSE(TakeRecord().has_shards_assigned()) << "it may still have the state";
  const std::vector<Send<AssignRequest>> assigns = Take<Send<AssignRequest>>();
  ASSERT_THAT(assigns, SizeIs(1));
  EXPECT_THAT(assigns[0].request.prepared(), IsEmpty());
  job_.OnReply(assigns[0], AssignReply(), now_us_, &actions_);
  now_us_ += kIntervalUs;
  job_.OnTime(now_us_, &actions_);
  AnswerEnds({10, 20});
  const JournalRecord again = TakeRecord();
  ASSERT_TRUE(again.has_shards_assigned());
  EXPECT_EQ(again.shards_assigned().shards(1).next_owner(), "a");
}

TEST_F(JobMachineTest, AfterAPreparationThatFailedNothingMovesBeforeAnUpdate) {
  const std::vector<Send<PrepareRequest>> prepares = LoseB();
  ASSERT_THAT(prepares, SizeIs(1));
  PrepareReply reply;
  reply.mutable_failure()->set_reason("a bad record");
  job_.OnReply(prepares[0], reply, now_us_, &actions_);
  const JournalRecord ended = TakeRecord();
  ASSERT_TRUE(ended.has_shards_assigned());
  EXPECT_EQ(ended.shards_assigned().shards(1).next_owner(), "");
  Apply(ended);
  // Kafka has the job's start.
  job_.OnPartitions(found_, now_us_, &actions_);
  AnswerEnds({10, 20});
  EXPECT_FALSE(TakeRecord().has_shards_assigned());
  Apply(Update(Submitted().spec()));
  job_.OnPartitions(found_, now_us_, &actions_);
  AnswerEnds({10, 20});
  const JournalRecord moved = TakeRecord();
  ASSERT_TRUE(moved.has_shards_assigned());
  EXPECT_EQ(moved.shards_assigned().shards(1).next_owner(), "a");
}

TEST_F(JobMachineTest, APreparationOfTheSpecBeforeTheUpdateCountsForNothing) {
  const std::vector<Send<PrepareRequest>> prepares = LoseB();
  ASSERT_THAT(prepares, SizeIs(1));
  Apply(Update(Submitted().spec()));
  PrepareReply reply;
  reply.mutable_failure()->set_reason("the log's start is gone");
  job_.OnReply(prepares[0], reply, now_us_, &actions_);
  EXPECT_THAT(RunToFold({10, 20}), testing::IsEmpty());
  EXPECT_EQ(job_.waiting().kind(), WAITING_OWNER);
}

TEST_F(JobMachineTest, AShardThatDisagreesWithTheJournalIsTakenFromItsWorker) {
  CommitFirst();
  const std::vector<Send<FoldRequest>> folds = RunToFolds({10, 21});
  FoldReply a = FoldedAs(folds[0], 1);
  a.mutable_shards(0)->mutable_digest()->set_low(1);
  Reply(folds[0], a);
  Reply(folds[1], FoldedAs(folds[1], 1));
  const JournalRecord record = TakeRecord();
  ASSERT_TRUE(record.has_shards_assigned());
  ASSERT_EQ(record.shards_assigned().shards_size(), 2);
  EXPECT_EQ(record.shards_assigned().shards(0).owner(), "");
  EXPECT_EQ(record.shards_assigned().shards(1).owner(), "b");
}

TEST_F(JobMachineTest, AWorkerThatDropsADoubtfulStateKeepsItsPlace) {
  cluster_.workers["b"].job_ids = {"id"};
  CommitFirst();
  const std::vector<Send<FoldRequest>> folds = RunToFolds({15, 20});
  FoldReply doubtful = FoldedAs(folds[1], 1);
  doubtful.mutable_shards(0)->mutable_digest()->set_low(1);
  Reply(folds[0], FoldedAs(folds[0], 1));
  Reply(folds[1], doubtful);
  Apply(TakeRecord());
  EXPECT_THAT(job_.places(), ElementsAre("b"));
  cluster_.workers["b"].max_jobs = cluster_.workers["b"].jobs = 1;
  for (const Send<AssignRequest>& send : Take<Send<AssignRequest>>()) job_.OnReply(send, AssignReply(), now_us_, &actions_);
  AnswerEnds({15, 20});
  const JournalRecord again = TakeRecord();
  ASSERT_EQ(again.shards_assigned().shards_size(), 2);
  EXPECT_EQ(again.shards_assigned().shards(1).next_owner(), "b");
  Apply(again);
  EXPECT_THAT(job_.places(), IsEmpty());
}

TEST(ShardMoves, AStateThatIsDoubtedOnceMoreBeforeItIsDroppedWasNotFoldedAgain) {
  ClusterView cluster{ClusterOptions()};
  cluster.workers["a"].state = WORKER_LIVE;
  JournalledJob job(Submitted(), /*submitted_at_us=*/1, "");
  JournalRecord assigned;
  for (int s = 0; s < 2; ++s) assigned.mutable_shards_assigned()->add_shards()->set_owner("a");
  job.Apply(assigned);
  AssignmentAcks acks(&cluster, &job);
  ShardMoves moves(&cluster, &job, &acks);
  EXPECT_EQ(moves.Doubt(0, "a"), "");
  EXPECT_EQ(moves.Doubt(0, "a"), "") << "it is the same state";
  moves.OnAssignReply("a", AssignRequest(), AssignReply());
  EXPECT_NE(moves.Doubt(0, "a"), "") << "this one was folded again";
}

}  // namespace
}  // namespace tenfold
