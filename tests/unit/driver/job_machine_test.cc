#include "driver/core/job_machine.h"

#include <limits>
#include <utility>
#include <vector>

#include "jobs/show/waiting_text.h"
#include "tests/unit/driver/job_machine_fixture.h"

namespace tenfold {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_F(JobMachineTest, AsksEachWorkerForItsShardsUpToTheEnds) {
  const std::vector<Send<FoldRequest>> folds = RunToFolds({10, 20});
  EXPECT_EQ(folds[0].worker, "a");
  ASSERT_EQ(folds[0].request.targets_size(), 1);
  EXPECT_EQ(folds[0].request.targets(0).partition(), 0u);
  EXPECT_EQ(folds[0].request.targets(0).next_offset(), 10);
  EXPECT_EQ(folds[0].request.highest().depth(), 4u);
  EXPECT_FALSE(folds[0].request.exact());
  EXPECT_EQ(folds[1].request.id().incarnation(), 7u);
  EXPECT_EQ(folds[1].request.id().epoch(), 3u);
  EXPECT_EQ(folds[1].request.targets(0).next_offset(), 20);
}

TEST_F(JobMachineTest, FirstFoldLeavesTimeForWhatFollowsIt) {
  EXPECT_LE(RunToFolds({10, 20})[0].request.budget_ms(), kIntervalMs * 3 / 4);
}

TEST_F(JobMachineTest, PublishesABatchOnlyOnceItIsJournalled) {
  const JournalRecord record = FoldAll(RunToFolds({10, 20}), 30, 4);
  ASSERT_TRUE(record.has_batch_committed());
  EXPECT_THAT(Take<PublishBatch>(), IsEmpty());
  EXPECT_EQ(job_.job().last_batch.batch(), 0u) << "before its record is back the batch never happened";

  Apply(record);
  const std::vector<PublishBatch> published = Take<PublishBatch>();
  ASSERT_THAT(published, SizeIs(1));
  const BatchCommitted& batch = published[0].batch;
  EXPECT_EQ(batch.published_at_us(), now_us_) << "when it was durable";
  EXPECT_EQ(batch.batch(), 1u);
  EXPECT_THAT(batch.next_offsets(), ElementsAre(10, 20));
  EXPECT_EQ(batch.records(), 30u);
  ASSERT_EQ(batch.top_size(), 1);
  EXPECT_EQ(FromProto(batch.top(0).sum()), 34);
}

TEST_F(JobMachineTest, ABatchReadFromTheJournalAtTheStartIsTakenOverAndNotPublished) {
  const JournalRecord record = FoldAll(RunToFolds({10, 20}), 1, 1);
  JobMachine restarted(&cluster_, Submitted(), 0);
  Actions actions;
  restarted.Apply(record, now_us_, &actions);
  EXPECT_THAT(actions, IsEmpty());
  EXPECT_EQ(restarted.job().last_batch.batch(), 1u);
}

TEST_F(JobMachineTest, TheRateIsOfTheTimeBetweenBatchesAndAveraged) {
  CommitFirst();
  const int64_t first_us = now_us_;
  const double first = 30.0 * 1000 / kIntervalMs;
  EXPECT_DOUBLE_EQ(job_.Status().records_per_second(), first);
  Apply(FoldAll(RunToFolds({110, 20}), 1, 1));
  const double second = 100.0 * 1e6 / static_cast<double>(now_us_ - first_us);
  EXPECT_DOUBLE_EQ(job_.Status().records_per_second(), 0.7 * first + 0.3 * second);
}

TEST_F(JobMachineTest, TheFirstBatchIsMadeWithoutRecords) {
  EXPECT_TRUE(FoldAll(RunToFolds({0, 0}), 0, 0).has_batch_committed());
}

TEST_F(JobMachineTest, ALaterBatchIsNotMadeWhereNoOffsetMoved) {
  CommitFirst();
  EXPECT_THAT(RunToFold({10, 20}), IsEmpty());
  EXPECT_THAT(RunToFold({10, 21}), SizeIs(2));
}

TEST_F(JobMachineTest, AStatePastItsTargetGivesTheBatchThatOffset) {
  const std::vector<Send<FoldRequest>> folds = RunToFolds({10, 20});
  Reply(folds[0], FoldedTo(folds[0], 15, 1));
  Reply(folds[1], FoldedTo(folds[1], 20, 1));
  EXPECT_THAT(TakeRecord().batch_committed().next_offsets(), ElementsAre(15, 20));
}

TEST_F(JobMachineTest, RepliesOfALowerAttemptAreIgnored) {
  const std::vector<Send<FoldRequest>> first = RunToFolds({10, 20});
  Reply(first[1], absl::UnavailableError("lost"));
  const std::vector<Send<FoldRequest>> second = RunToFolds({10, 20});
  EXPECT_GT(second[0].request.id().attempt(), first[0].request.id().attempt());

  Reply(first[0], FoldedTo(first[0], 5, 999));
  Reply(first[1], FoldedTo(first[1], 20, 999));
  EXPECT_FALSE(TakeRecord().has_batch_committed());
  const BatchCommitted batch = FoldAll(second, 3, 4).batch_committed();
  EXPECT_THAT(batch.next_offsets(), ElementsAre(10, 20));
  EXPECT_EQ(FromProto(batch.top(0).sum()), 7);
}

TEST_F(JobMachineTest, RepliesToAnEarlierDriverAreIgnored) {
  std::vector<Send<FoldRequest>> folds = RunToFolds({10, 20});
  Send<FoldRequest> earlier = folds[0];
  earlier.request.mutable_id()->set_epoch(2);
  Reply(earlier, FoldedTo(earlier, 10, 999));
  EXPECT_EQ(FromProto(FoldAll(folds, 3, 4).batch_committed().top(0).sum()), 7);
}

TEST_F(JobMachineTest, AReplyToARequestOfAnotherStepIsIgnored) {
  const std::vector<Send<FoldRequest>> folds = RunToFolds({10, 20});
  Send<FoldRequest> other = folds[0];
  other.request.mutable_id()->set_step(other.request.id().step() + 100);
  Reply(other, FoldedTo(other, 10, 999));
  EXPECT_EQ(FromProto(FoldAll(folds, 3, 4).batch_committed().top(0).sum()), 7);
}

TEST_F(JobMachineTest, ADoubledReplyCountsOnce) {
  const std::vector<Send<FoldRequest>> folds = RunToFolds({10, 20});
  Reply(folds[0], FoldedAs(folds[0], 3));
  Reply(folds[0], FoldedAs(folds[0], 999));
  EXPECT_FALSE(TakeRecord().has_batch_committed()) << "the other worker has not replied";
  Reply(folds[1], FoldedAs(folds[1], 4));
  EXPECT_EQ(FromProto(TakeRecord().batch_committed().top(0).sum()), 7);
}

TEST_F(JobMachineTest, ACompositionBelowTheJournalMakesNoBatch) {
  CommitFirst();
  const std::vector<Send<FoldRequest>> folds = RunToFolds({30, 40});
  Reply(folds[0], FoldedTo(folds[0], 9, 1));
  Reply(folds[1], FoldedTo(folds[1], 40, 1));
  EXPECT_FALSE(TakeRecord().has_batch_committed());
  EXPECT_EQ(job_.state(), JOB_WAITING);
  EXPECT_THAT(WaitingText(job_.waiting()), HasSubstr("events[0]"));
}

TEST_F(JobMachineTest, CompositionsThatDoNotCoverEveryPartitionOnceMakeNoBatch) {
  const std::vector<Send<FoldRequest>> folds = RunToFolds({10, 20});
  FoldReply both = FoldedAs(folds[0], 1);
  both.add_composition()->set_partition(1);
  both.mutable_composition(1)->set_next_offset(20);
  Reply(folds[0], both);
  Reply(folds[1], FoldedAs(folds[1], 1));
  EXPECT_FALSE(TakeRecord().has_batch_committed()) << "partition 1 would be summed twice";

  const std::vector<Send<FoldRequest>> next = RunToFolds({10, 20});
  FoldReply nothing = FoldedAs(next[0], 1);
  nothing.clear_composition();
  Reply(next[0], nothing);
  Reply(next[1], FoldedAs(next[1], 1));
  EXPECT_FALSE(TakeRecord().has_batch_committed()) << "partition 0 would be missing";
}

TEST_F(JobMachineTest, AFailureReplyFailsTheJobForGood) {
  const std::vector<Send<FoldRequest>> folds = RunToFolds({10, 20});
  FoldReply reply;
  reply.mutable_failure()->set_reason("events[0] at offset 4: the record is bad");
  Reply(folds[0], reply);
  const JournalRecord record = TakeRecord();
  ASSERT_TRUE(record.has_job_failed());
  EXPECT_EQ(record.job_failed().reason(), "events[0] at offset 4: the record is bad");
  EXPECT_NE(job_.state(), JOB_FAILED) << "it is not journalled yet";

  Apply(record);
  EXPECT_EQ(job_.state(), JOB_FAILED);
  Reply(folds[1], FoldedAs(folds[1], 1));
  EXPECT_THAT(RunToFold({30, 40}), IsEmpty());
}

TEST_F(JobMachineTest, ABatchUnderWayToTheJournalIsPublishedBeforeTheJobIsCancelled) {
  const JournalRecord batch = FoldAll(RunToFolds({10, 20}), 1, 1);
  job_.Cancel(&actions_);
  job_.Cancel(&actions_);
  EXPECT_THAT(Take<AppendRecord>(), IsEmpty()) << "one record at a time";

  Apply(batch);
  EXPECT_THAT(Take<PublishBatch>(), SizeIs(1));
  const JournalRecord cancelled = TakeRecord();
  ASSERT_TRUE(cancelled.has_job_cancelled());
  EXPECT_THAT(Take<CloseJob>(), IsEmpty()) << "its state goes only once that is journalled";

  Apply(cancelled);
  EXPECT_THAT(Take<CloseJob>(), SizeIs(1));
  EXPECT_EQ(job_.state(), JOB_CANCELLED);
  EXPECT_THAT(RunToFold({30, 40}), IsEmpty());
}

TEST_F(JobMachineTest, ACancelEndsTheAttemptUnderWay) {
  const std::vector<Send<FoldRequest>> folds = RunToFolds({10, 20});
  job_.Cancel(&actions_);
  const JournalRecord cancelled = TakeRecord();
  ASSERT_TRUE(cancelled.has_job_cancelled());
  EXPECT_FALSE(FoldAll(folds, 1, 1).has_batch_committed());
}

TEST_F(JobMachineTest, AnUpdateTellsEveryOwnerAndMakesABatchOfTheNewTop) {
  CommitFirst();
  JobSpec spec = Submitted().spec();
  spec.set_top(1);
  spec.mutable_source()->set_brokers("other:9092");
  RunToFolds({11, 20});
  const JournalRecord record = Update(spec);
  ASSERT_TRUE(record.has_job_updated());
  Take<Send<FoldRequest>>();
  Apply(record);
  AnswerEnds({10, 20});
  const std::vector<Send<AssignRequest>> assigns = Take<Send<AssignRequest>>();
  ASSERT_EQ(assigns.size(), 2u);
  for (const Send<AssignRequest>& assign : assigns) {
    EXPECT_EQ(assign.request.brokers(), "other:9092");
    job_.OnReply(assign, AssignReply(), now_us_, &actions_);
  }
  const JournalRecord batch = FoldAll(Take<Send<FoldRequest>>(), 1, 1);
  EXPECT_EQ(batch.batch_committed().k(), 1u);
}

TEST_F(JobMachineTest, AnAcknowledgementOfTheSpecBeforeTheUpdateCountsForNothing) {
  job_.OnWorkersChanged(now_us_, &actions_);
  Apply(TakeRecord());
  now_us_ += kIntervalUs;
  job_.OnTime(now_us_, &actions_);
  AnswerEnds({10, 20});
  const std::vector<Send<AssignRequest>> before = Take<Send<AssignRequest>>();
  JobSpec spec = Submitted().spec();
  spec.set_on_bad_record(BAD_RECORD_FAIL);
  Apply(Update(spec));
  for (const Send<AssignRequest>& assign : before) job_.OnReply(assign, AssignReply(), now_us_, &actions_);
  AnswerEnds({10, 20});
  EXPECT_THAT(Take<Send<FoldRequest>>(), testing::IsEmpty());
  EXPECT_THAT(Take<Send<AssignRequest>>(), testing::SizeIs(2));
}

TEST_F(JobMachineTest, ATopicThatHasBecomeCompactedHoldsTheJob) {
  found_.compacted = "events";
  EXPECT_THAT(RunToFold({11, 20}), testing::IsEmpty());
  EXPECT_EQ(job_.waiting().kind(), WAITING_COMPACTED);
  EXPECT_EQ(job_.waiting().topic(), "events");
  found_.compacted = "";
  job_.OnPartitions(found_, now_us_, &actions_);
  EXPECT_THAT(RunToFold({11, 20}), testing::Not(testing::IsEmpty()));
}

TEST_F(JobMachineTest, ACompactedTopicEndsTheAttemptUnderWay) {
  const std::vector<Send<FoldRequest>> folds = RunToFolds({10, 20});
  found_.compacted = "events";
  job_.OnPartitions(found_, now_us_, &actions_);
  EXPECT_FALSE(FoldAll(folds, 1, 1).has_batch_committed());
  EXPECT_EQ(job_.waiting().kind(), WAITING_COMPACTED);
}

TEST_F(JobMachineTest, AfterAStartTheTopicsAreLookedAtBeforeTheFirstBatch) {
  job_.OnWorkersChanged(now_us_, &actions_);
  Apply(TakeRecord());
  EXPECT_THAT(Take<QueryEnds>(), testing::IsEmpty());
  const std::vector<FindPartitions> searches = Take<FindPartitions>();
  ASSERT_THAT(searches, SizeIs(1));
  job_.OnPartitions(absl::UnavailableError("Kafka is away"), now_us_, &actions_);
  EXPECT_THAT(Take<QueryEnds>(), testing::IsEmpty());
  EXPECT_EQ(job_.waiting().kind(), WAITING_KAFKA);
  EXPECT_EQ(job_.waiting().detail(), "Kafka is away");
  now_us_ += 10 * kIntervalUs;
  job_.OnTime(now_us_, &actions_);
  EXPECT_THAT(Take<QueryEnds>(), testing::IsEmpty());
  AnswerSearch();
  EXPECT_THAT(Take<QueryEnds>(), SizeIs(1));
}

TEST_F(JobMachineTest, AnUpdateThatDoesNotAllowCompactedTopicsKeepsTheHold) {
  found_.compacted = "events";
  RunToFold({10, 20});
  JobSpec spec = Submitted().spec();
  spec.set_top(3);
  Apply(Update(spec));
  now_us_ += kIntervalUs;
  job_.OnTime(now_us_, &actions_);
  EXPECT_EQ(job_.waiting().kind(), WAITING_COMPACTED);
  spec.mutable_source()->set_allow_compacted(true);
  // Then nobody asks.
  found_.compacted = "";
  Apply(Update(spec));
  EXPECT_THAT(RunToFold({10, 20}), testing::Not(testing::IsEmpty()));
}

TEST_F(JobMachineTest, ALookUpQuotesTheCompositionAndARefusedOneStartsANewAttempt) {
  const std::vector<Send<FoldRequest>> folds = RunToFolds({10, 20});
  FoldReply a = FoldedAs(folds[0], 5);
  *a.mutable_highest()->mutable_floor() = ToProto(Units{1});
  FoldReply b = FoldedAs(folds[1], 5);
  b.mutable_highest()->mutable_entries(0)->set_key("other");
  Reply(folds[0], a);
  Reply(folds[1], b);
  const std::vector<Send<LookUpRequest>> look_ups = Take<Send<LookUpRequest>>();
  ASSERT_THAT(look_ups, SizeIs(1));
  EXPECT_EQ(look_ups[0].worker, "a");
  EXPECT_THAT(look_ups[0].request.keys().keys(), ElementsAre("other"));
  ASSERT_EQ(look_ups[0].request.composition_size(), 1);
  EXPECT_EQ(look_ups[0].request.composition(0).next_offset(), 10);

  job_.OnReply(look_ups[0], absl::FailedPreconditionError("elsewhere"), now_us_, &actions_);
  EXPECT_FALSE(TakeRecord().has_batch_committed());
  job_.OnReply(look_ups[0], LookUpReply(), now_us_, &actions_);
  EXPECT_FALSE(TakeRecord().has_batch_committed()) << "the attempt is over";
  EXPECT_TRUE(FoldAll(RunToFolds({10, 20}), 1, 1).has_batch_committed());
}

TEST_F(JobMachineTest, ATopicThatStaysShorterThanWhatIsFoldedFailsTheJob) {
  CommitFirst();
  EXPECT_THAT(RunToFold({4, 20}), IsEmpty());
  EXPECT_FALSE(TakeRecord().has_job_failed()) << "a broker that has just taken over may be behind for a moment";
  now_us_ += 10'000'000;
  job_.OnTime(now_us_, &actions_);
  AnswerEnds({4, 20});
  EXPECT_THAT(TakeRecord().job_failed().reason(), HasSubstr("events[0] ends at 4, below offset 10"));
}

TEST_F(JobMachineTest, ATruncatedTopicFailsTheJobAlsoWhileAShardHasNoLiveOwner) {
  CommitFirst();
  cluster_.workers["a"].state = WORKER_LOST;
  RunToFold({4, 20});
  now_us_ += 10'000'000;
  RunToFold({4, 20});
  EXPECT_THAT(TakeRecord().job_failed().reason(), HasSubstr("events[0] ends at 4, below offset 10"));
}

TEST_F(JobMachineTest, SaysHowFarAShardThatItWaitsForIsFoldedAgain) {
  CommitFirst();
  cluster_.workers["b"].state = WORKER_LOST;
  // That the shard moves is decided, then done.
  EXPECT_THAT(RunToFold({10, 20}), IsEmpty());
  EXPECT_THAT(RunToFold({10, 20}), IsEmpty());
  for (const int64_t next_offset : {3, 5}) {
    const std::vector<Send<PrepareRequest>> prepares = Take<Send<PrepareRequest>>();
    ASSERT_THAT(prepares, SizeIs(1));
    PrepareReply reply;
    ShardPosition* const position = reply.add_shards();
    position->set_shard(1);
    position->add_offsets()->set_partition(1);
    position->mutable_offsets(0)->set_next_offset(next_offset);
    now_us_ += 500'000;
    job_.OnReply(prepares[0], reply, now_us_, &actions_);
  }
  RunToFold({10, 20});
  EXPECT_THAT(WaitingText(job_.waiting()), HasSubstr("now folded again by worker a: 5 of 20 offsets, 4 a second, 3 s left"));
}

class JobWithASinkTest : public JobMachineTest {
 protected:
  JobWithASinkTest() : JobMachineTest({.sink_backlog = 1}) {}
};

TEST_F(JobWithASinkTest, WaitsForASinkThatIsTooFarBehind) {
  CommitFirst();
  EXPECT_THAT(RunToFold({11, 20}), IsEmpty());
  ASSERT_THAT(Take<QuerySinks>(), SizeIs(1));
  SinkStatus slowest;
  slowest.set_sink("stdout");
  slowest.set_problem("nobody reads it");
  job_.OnSinks(slowest, now_us_, &actions_);
  EXPECT_EQ(job_.state(), JOB_WAITING);
  EXPECT_EQ(WaitingText(job_.waiting()), "sink stdout, which is 1 batch behind: nobody reads it");
  EXPECT_THAT(Take<QueryEnds>(), IsEmpty());

  now_us_ += kIntervalUs;
  job_.OnTime(now_us_, &actions_);
  ASSERT_THAT(Take<QuerySinks>(), SizeIs(1));
  slowest.set_delivered_batch(1);
  job_.OnSinks(slowest, now_us_, &actions_);
  EXPECT_THAT(Take<QueryEnds>(), SizeIs(1)) << "it took the batch: the next one is made";
}

TEST_F(JobMachineTest, SaysWhatItWaitsForAsData) {
  job_.OnWorkersChanged(now_us_, &actions_);
  Apply(TakeRecord());
  const auto waiting = [&](const absl::Status& trouble) {
    now_us_ += kIntervalUs;
    job_.OnTime(now_us_, &actions_);
    AnswerEnds(Ends(2, trouble));
    return job_.Status().waiting();
  };
  const Waiting first = waiting(absl::UnavailableError("Kafka at kafka:9092 is not reachable: Connection refused"));
  EXPECT_EQ(first.kind(), WAITING_KAFKA);
  EXPECT_EQ(first.subject(), "kafka:9092");
  EXPECT_EQ(first.detail(), "Kafka at kafka:9092 is not reachable: Connection refused");
  EXPECT_EQ(first.phase(), PHASE_PLAN);
  EXPECT_EQ(first.since_us(), now_us_);
  const Waiting second = waiting(absl::UnavailableError("Kafka at kafka:9092 does not answer in time"));
  EXPECT_EQ(second.detail(), "Kafka at kafka:9092 does not answer in time");
  EXPECT_EQ(second.since_us(), first.since_us()) << "it still waits for the same thing";
}

TEST_F(JobMachineTest, SaysThatAWorkerHasYetToAnswer) {
  CommitFirst();
  const std::vector<Send<FoldRequest>> folds = RunToFolds({15, 20});
  Reply(folds[0], FoldedAs(folds[0], 1));
  now_us_ += 8'000'000;
  job_.OnTime(now_us_, &actions_);
  EXPECT_EQ(job_.state(), JOB_WAITING);
  EXPECT_EQ(WaitingText(job_.waiting()), "worker b: it has yet to answer");
  Reply(folds[1], FoldedAs(folds[1], 1));
  EXPECT_EQ(job_.state(), JOB_RUNNING) << "while the batch is being journalled";
  Apply(TakeRecord());
  EXPECT_EQ(job_.state(), JOB_RUNNING);
}

TEST_F(JobMachineTest, AWorkerThatCannotReadAPropertyIsNamed) {
  CommitFirst();
  const std::vector<Send<FoldRequest>> folds = RunToFolds({15, 20});
  FoldReply stuck = FoldedTo(folds[0], 10, 1);
  stuck.mutable_waiting()->set_kind(WAITING_KAFKA);
  stuck.mutable_waiting()->set_detail("Kafka property 'sasl.password': /s/pw cannot be read");
  Reply(folds[0], stuck);
  Reply(folds[1], FoldedAs(folds[1], 1));
  EXPECT_EQ(WaitingText(job_.waiting()), "worker a: Kafka property 'sasl.password': /s/pw cannot be read");
}

TEST_F(JobMachineTest, GoesOnWithoutAPartitionWhoseEndIsNotKnown) {
  CommitFirst();
  now_us_ += kIntervalUs;
  job_.OnTime(now_us_, &actions_);
  const int64_t since_us = now_us_;
  AnswerEnds({absl::UnavailableError("events[0] has no leader"), 25});
  const std::vector<Send<FoldRequest>> folds = Take<Send<FoldRequest>>();
  ASSERT_THAT(folds, SizeIs(2));
  const JournalRecord batch = FoldAll(folds, 1, 1);
  EXPECT_THAT(batch.batch_committed().next_offsets(), testing::ElementsAre(10, 25));
  Apply(batch);
  EXPECT_EQ(job_.state(), JOB_RUNNING);
  const JobStatus status = job_.Status();
  EXPECT_EQ(WaitingText(status.waiting()), "events[0] has no leader");
  EXPECT_EQ(status.partitions(0).problem(), "events[0] has no leader");
  EXPECT_EQ(status.partitions(0).since_us(), since_us);
  EXPECT_EQ(status.partitions(0).end_offset(), 10) << "as last seen";
  EXPECT_EQ(status.partitions(1).problem(), "");

  RunToFold({11, 25});
  EXPECT_EQ(job_.Status().partitions(0).problem(), "");
}

TEST_F(JobMachineTest, WaitsForAStuckPartitionWhereTheSpecSaysSo) {
  CommitFirst();
  JobSpec spec = Submitted().spec();
  spec.set_on_stuck_partition(STUCK_PARTITION_WAIT);
  Apply(Update(spec));
  AnswerEnds({absl::UnavailableError("events[0] has no leader"), 25});
  EXPECT_THAT(Take<Send<FoldRequest>>(), IsEmpty());
  EXPECT_EQ(job_.state(), JOB_WAITING);
  EXPECT_EQ(WaitingText(job_.waiting()), "events[0] has no leader");
}

void SetStuck(FoldReply* reply) {
  reply->mutable_waiting()->set_kind(WAITING_KAFKA);
  reply->mutable_waiting()->set_detail("Kafka at kafka:9092 is not reachable");
}

TEST_F(JobMachineTest, ABatchOfTheOtherPartitionsDoesNotHideThatOneIsStuck) {
  CommitFirst();
  std::vector<Send<FoldRequest>> folds = RunToFolds({11, 21});
  FoldReply stuck = FoldedTo(folds[0], 10, 1);
  SetStuck(&stuck);
  Reply(folds[0], stuck);
  Reply(folds[1], FoldedAs(folds[1], 1));
  const JournalRecord batch = TakeRecord();
  ASSERT_TRUE(batch.has_batch_committed());
  Apply(batch);
  EXPECT_EQ(job_.state(), JOB_WAITING);
  EXPECT_EQ(WaitingText(job_.waiting()), "Kafka at kafka:9092 is not reachable");

  folds = RunToFolds({11, 22});
  FoldReply over = FoldedAs(folds[0], 1);
  SetStuck(&over);
  Reply(folds[0], over);
  Reply(folds[1], FoldedAs(folds[1], 1));
  Apply(TakeRecord());
  EXPECT_EQ(job_.state(), JOB_RUNNING) << "it got to its target all the same";
}

}  // namespace
}  // namespace tenfold
