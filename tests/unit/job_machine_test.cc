// Two workers, a with partition 0 and b with partition 1, and the driver's decisions about their job, step by step. What
// follows from any order of events is the simulator's to find out (tests/simulation).
#include "driver/job_machine.h"

#include <limits>
#include <utility>
#include <variant>
#include <vector>

#include "common/units.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint32_t kIntervalMs = 1000;

JobSubmitted Submitted() {
  JobSubmitted submitted;
  submitted.set_job_id("id");
  submitted.set_brokers("kafka:9092");
  submitted.mutable_spec()->set_name("job");
  submitted.mutable_spec()->set_top(2);
  submitted.mutable_spec()->set_batch_interval_ms(kIntervalMs);
  submitted.mutable_spec()->add_sinks()->mutable_stdout();
  for (int p = 0; p < 2; ++p) {
    Partition* partition = submitted.add_partitions();
    partition->set_topic("events");
    partition->set_partition(p);
  }
  return submitted;
}

class JobMachineTest : public testing::Test {
 protected:
  JobMachineTest() {
    cluster_.cluster_id = "cluster";
    cluster_.epoch = 3;
    for (const char* id : {"a", "b"}) {
      cluster_.workers[id].live = true;
      cluster_.workers[id].incarnation = 7;
    }
  }

  // Takes the actions of one kind out of what the machine asked for.
  template <typename Kind>
  std::vector<Kind> Take() {
    std::vector<Kind> taken;
    Actions left;
    for (Action& action : actions_) {
      if (Kind* kind = std::get_if<Kind>(&action)) {
        taken.push_back(std::move(*kind));
      } else {
        left.push_back(std::move(action));
      }
    }
    actions_ = std::move(left);
    return taken;
  }

  // The one record that is asked for; unset if there is none.
  JournalRecord TakeRecord() {
    std::vector<AppendRecord> appends = Take<AppendRecord>();
    EXPECT_LE(appends.size(), 1u);
    return appends.empty() ? JournalRecord() : appends[0].record;
  }
  void Apply(const JournalRecord& record) { job_.Apply(record, now_ms_, &actions_); }

  // Assigns the shards and plans, up to the Folds.
  std::vector<SendFold> RunToFold(std::vector<int64_t> ends) {
    job_.OnWorkersChanged(now_ms_, &actions_);
    if (const JournalRecord assigned = TakeRecord(); assigned.has_shards_assigned()) Apply(assigned);
    now_ms_ += kIntervalMs;
    job_.OnTime(now_ms_, &actions_);
    for (const QueryEnds& query : Take<QueryEnds>()) job_.OnEnds(query.query, ends, now_ms_, &actions_);
    for (const SendAssign& send : Take<SendAssign>()) {
      job_.OnAssignReply(send.worker, send.request, AssignReply(), now_ms_, &actions_);
    }
    return Take<SendFold>();
  }

  // Where the job has to fold. What is missing is made up, so that the test can end.
  std::vector<SendFold> RunToFolds(std::vector<int64_t> ends) {
    std::vector<SendFold> folds = RunToFold(std::move(ends));
    EXPECT_THAT(folds, SizeIs(2));
    folds.resize(2);
    for (SendFold& fold : folds) {
      if (fold.request.targets().empty()) fold.request.add_targets();
    }
    return folds;
  }

  void Reply(const SendFold& send, const absl::StatusOr<FoldReply>& reply) {
    job_.OnFoldReply(send.worker, send.request, reply, now_ms_, &actions_);
  }

  // Both workers have folded up to their targets; `a` and `b` are all the partials they have.
  JournalRecord FoldAll(const std::vector<SendFold>& folds, Units a, Units b) {
    for (const SendFold& send : folds) Reply(send, FoldedAs(send, send.worker == "a" ? a : b));
    return TakeRecord();
  }

  static FoldReply FoldedTo(const SendFold& send, int64_t next_offset, Units sum) {
    const uint32_t p = send.request.targets(0).partition();
    FoldReply reply;
    reply.add_composition()->set_partition(p);
    reply.mutable_composition(0)->set_next_offset(next_offset);
    ShardPosition* position = reply.add_shards();
    position->set_shard(p);
    *position->mutable_offsets() = reply.composition();
    reply.add_partitions()->set_partition(p);
    reply.mutable_partitions(0)->set_records(static_cast<uint64_t>(next_offset));
    Entry* entry = reply.add_entries();
    entry->set_key("page");
    *entry->mutable_sum() = ToProto(sum);
    return reply;
  }
  static FoldReply FoldedAs(const SendFold& send, Units sum) {
    return FoldedTo(send, send.request.targets(0).next_offset(), sum);
  }

  // Batch 1, of partition 0 up to 10 and partition 1 up to 20.
  void CommitFirst() {
    Apply(FoldAll(RunToFolds({10, 20}), 1, 1));
    Take<PublishBatch>();
  }

  ClusterView cluster_;
  JobMachine job_{&cluster_, Submitted(), 0};
  Actions actions_;
  int64_t now_ms_ = 100'000;
};

TEST_F(JobMachineTest, AsksEachWorkerForItsShardsUpToTheEnds) {
  const std::vector<SendFold> folds = RunToFolds({10, 20});
  EXPECT_EQ(folds[0].worker, "a");
  ASSERT_EQ(folds[0].request.targets_size(), 1);
  EXPECT_EQ(folds[0].request.targets(0).partition(), 0u);
  EXPECT_EQ(folds[0].request.targets(0).next_offset(), 10);
  EXPECT_EQ(folds[0].request.depth(), 4u);
  EXPECT_FALSE(folds[0].request.exact());
  EXPECT_EQ(folds[1].request.id().incarnation(), 7u);
  EXPECT_EQ(folds[1].request.id().epoch(), 3u);
  EXPECT_EQ(folds[1].request.targets(0).next_offset(), 20);
}

TEST_F(JobMachineTest, PublishesABatchOnlyOnceItIsJournalled) {
  const JournalRecord record = FoldAll(RunToFolds({10, 20}), 30, 4);
  ASSERT_TRUE(record.has_batch_committed());
  EXPECT_THAT(Take<PublishBatch>(), IsEmpty());
  EXPECT_EQ(job_.last_batch().batch(), 0u) << "before its record is back the batch never happened";

  Apply(record);
  const std::vector<PublishBatch> published = Take<PublishBatch>();
  ASSERT_THAT(published, SizeIs(1));
  const BatchCommitted& batch = published[0].batch;
  EXPECT_EQ(batch.SerializeAsString(), record.batch_committed().SerializeAsString());
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
  restarted.Apply(record, now_ms_, &actions);
  EXPECT_THAT(actions, IsEmpty());
  EXPECT_EQ(restarted.last_batch().batch(), 1u);
}

TEST_F(JobMachineTest, TheRateIsOfTheBatchesSinceTheStart) {
  JournalRecord before;
  before.mutable_batch_committed()->set_batch(7);
  before.mutable_batch_committed()->add_next_offsets(10);
  before.mutable_batch_committed()->add_next_offsets(20);
  before.mutable_batch_committed()->set_records(30);
  before.mutable_batch_committed()->set_published_at_ms(now_ms_);
  Apply(before);
  EXPECT_EQ(job_.Status().records_per_second(), 0);
  // First to where the journal is, as the workers' states are not known.
  FoldAll(RunToFolds({110, 20}), 1, 1);
  const int64_t published_ms = now_ms_;
  const JournalRecord next = FoldAll(Take<SendFold>(), 1, 1);
  ASSERT_EQ(next.batch_committed().batch_records(), 100u);
  Apply(next);
  EXPECT_DOUBLE_EQ(job_.Status().records_per_second(), 100.0 * 1000 / static_cast<double>(published_ms - 100'000));
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
  const std::vector<SendFold> folds = RunToFolds({10, 20});
  Reply(folds[0], FoldedTo(folds[0], 15, 1));
  Reply(folds[1], FoldedTo(folds[1], 20, 1));
  EXPECT_THAT(TakeRecord().batch_committed().next_offsets(), ElementsAre(15, 20));
}

TEST_F(JobMachineTest, RepliesOfALowerAttemptAreIgnored) {
  const std::vector<SendFold> first = RunToFolds({10, 20});
  Reply(first[1], absl::UnavailableError("lost"));
  const std::vector<SendFold> second = RunToFolds({10, 20});
  EXPECT_GT(second[0].request.id().attempt(), first[0].request.id().attempt());

  Reply(first[0], FoldedTo(first[0], 5, 999));
  Reply(first[1], FoldedTo(first[1], 20, 999));
  EXPECT_FALSE(TakeRecord().has_batch_committed());
  const BatchCommitted batch = FoldAll(second, 3, 4).batch_committed();
  EXPECT_THAT(batch.next_offsets(), ElementsAre(10, 20));
  EXPECT_EQ(FromProto(batch.top(0).sum()), 7);
}

TEST_F(JobMachineTest, RepliesToAnEarlierDriverAreIgnored) {
  std::vector<SendFold> folds = RunToFolds({10, 20});
  SendFold earlier = folds[0];
  earlier.request.mutable_id()->set_epoch(2);
  Reply(earlier, FoldedTo(earlier, 10, 999));
  EXPECT_EQ(FromProto(FoldAll(folds, 3, 4).batch_committed().top(0).sum()), 7);
}

TEST_F(JobMachineTest, ADoubledReplyCountsOnce) {
  const std::vector<SendFold> folds = RunToFolds({10, 20});
  Reply(folds[0], FoldedAs(folds[0], 3));
  Reply(folds[0], FoldedAs(folds[0], 999));
  EXPECT_FALSE(TakeRecord().has_batch_committed()) << "the other worker has not replied";
  Reply(folds[1], FoldedAs(folds[1], 4));
  EXPECT_EQ(FromProto(TakeRecord().batch_committed().top(0).sum()), 7);
}

TEST_F(JobMachineTest, ACompositionBelowTheJournalMakesNoBatch) {
  CommitFirst();
  const std::vector<SendFold> folds = RunToFolds({30, 40});
  Reply(folds[0], FoldedTo(folds[0], 9, 1));
  Reply(folds[1], FoldedTo(folds[1], 40, 1));
  EXPECT_FALSE(TakeRecord().has_batch_committed());
  EXPECT_EQ(job_.state(), JOB_WAITING);
  EXPECT_THAT(job_.Status().reason(), HasSubstr("events[0]"));
}

TEST_F(JobMachineTest, CompositionsThatDoNotCoverEveryPartitionOnceMakeNoBatch) {
  const std::vector<SendFold> folds = RunToFolds({10, 20});
  FoldReply both = FoldedAs(folds[0], 1);
  both.add_composition()->set_partition(1);
  both.mutable_composition(1)->set_next_offset(20);
  Reply(folds[0], both);
  Reply(folds[1], FoldedAs(folds[1], 1));
  EXPECT_FALSE(TakeRecord().has_batch_committed()) << "partition 1 would be summed twice";

  const std::vector<SendFold> next = RunToFolds({10, 20});
  FoldReply nothing = FoldedAs(next[0], 1);
  nothing.clear_composition();
  Reply(next[0], nothing);
  Reply(next[1], FoldedAs(next[1], 1));
  EXPECT_FALSE(TakeRecord().has_batch_committed()) << "partition 0 would be missing";
}

TEST_F(JobMachineTest, AFailureReplyFailsTheJobForGood) {
  const std::vector<SendFold> folds = RunToFolds({10, 20});
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
  const std::vector<SendFold> folds = RunToFolds({10, 20});
  job_.Cancel(&actions_);
  const JournalRecord cancelled = TakeRecord();
  ASSERT_TRUE(cancelled.has_job_cancelled());
  EXPECT_FALSE(FoldAll(folds, 1, 1).has_batch_committed());
}

TEST_F(JobMachineTest, ALookUpQuotesTheCompositionAndARefusedOneStartsANewAttempt) {
  const std::vector<SendFold> folds = RunToFolds({10, 20});
  FoldReply a = FoldedAs(folds[0], 5);
  *a.mutable_floor() = ToProto(Units{1});
  FoldReply b = FoldedAs(folds[1], 5);
  b.mutable_entries(0)->set_key("other");
  Reply(folds[0], a);
  Reply(folds[1], b);
  const std::vector<SendLookUp> look_ups = Take<SendLookUp>();
  ASSERT_THAT(look_ups, SizeIs(1));
  EXPECT_EQ(look_ups[0].worker, "a");
  EXPECT_THAT(look_ups[0].request.keys(), ElementsAre("other"));
  ASSERT_EQ(look_ups[0].request.composition_size(), 1);
  EXPECT_EQ(look_ups[0].request.composition(0).next_offset(), 10);

  job_.OnLookUpReply("a", look_ups[0].request, absl::FailedPreconditionError("elsewhere"), now_ms_, &actions_);
  EXPECT_FALSE(TakeRecord().has_batch_committed());
  job_.OnLookUpReply("a", look_ups[0].request, LookUpReply(), now_ms_, &actions_);
  EXPECT_FALSE(TakeRecord().has_batch_committed()) << "the attempt is over";
  EXPECT_TRUE(FoldAll(RunToFolds({10, 20}), 1, 1).has_batch_committed());
}

TEST_F(JobMachineTest, ATopicThatStaysShorterThanWhatIsFoldedFailsTheJob) {
  CommitFirst();
  EXPECT_THAT(RunToFold({4, 20}), IsEmpty());
  EXPECT_FALSE(TakeRecord().has_job_failed()) << "a broker that has just taken over may be behind for a moment";
  now_ms_ += 10'000;
  job_.OnTime(now_ms_, &actions_);
  for (const QueryEnds& query : Take<QueryEnds>()) job_.OnEnds(query.query, std::vector<int64_t>{4, 20}, now_ms_, &actions_);
  EXPECT_THAT(TakeRecord().job_failed().reason(), HasSubstr("events[0] ends at 4, below offset 10"));
}

TEST_F(JobMachineTest, ATruncatedTopicFailsTheJobAlsoWhileAShardHasNoLiveOwner) {
  CommitFirst();
  cluster_.workers["a"].live = false;
  RunToFold({4, 20});
  now_ms_ += 10'000;
  RunToFold({4, 20});
  EXPECT_THAT(TakeRecord().job_failed().reason(), HasSubstr("events[0] ends at 4, below offset 10"));
}

TEST_F(JobMachineTest, AShardThatDisagreesWithTheJournalIsTakenFromItsWorker) {
  CommitFirst();
  const std::vector<SendFold> folds = RunToFolds({10, 21});
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

TEST_F(JobMachineTest, WaitsForASinkThatIsTooFarBehind) {
  cluster_.sink_backlog = 1;
  CommitFirst();
  EXPECT_THAT(RunToFold({11, 20}), IsEmpty());
  ASSERT_THAT(Take<QuerySinks>(), SizeIs(1));
  SinkStatus slowest;
  slowest.set_sink("stdout");
  slowest.set_problem("nobody reads it");
  job_.OnSinks(slowest, now_ms_, &actions_);
  EXPECT_EQ(job_.state(), JOB_WAITING);
  EXPECT_EQ(job_.Status().reason(), "sink stdout, which is 1 batches behind: nobody reads it");
  EXPECT_THAT(Take<QueryEnds>(), IsEmpty());

  now_ms_ += kIntervalMs;
  job_.OnTime(now_ms_, &actions_);
  ASSERT_THAT(Take<QuerySinks>(), SizeIs(1));
  slowest.set_delivered_batch(1);
  job_.OnSinks(slowest, now_ms_, &actions_);
  EXPECT_THAT(Take<QueryEnds>(), SizeIs(1)) << "it took the batch: the next one is made";
}

TEST_F(JobMachineTest, SaysWhatItWaitsForInWordsThatFollowWaitingFor) {
  job_.OnWorkersChanged(now_ms_, &actions_);
  Apply(TakeRecord());
  const auto reason = [&](const absl::StatusOr<std::vector<int64_t>>& ends) {
    now_ms_ += kIntervalMs;
    job_.OnTime(now_ms_, &actions_);
    for (const QueryEnds& query : Take<QueryEnds>()) job_.OnEnds(query.query, ends, now_ms_, &actions_);
    return job_.Status().reason();
  };
  EXPECT_EQ(reason(absl::UnavailableError("Kafka at kafka:9092 is not reachable: Connection refused")),
            "Kafka at kafka:9092, which is not reachable: Connection refused");
  EXPECT_EQ(reason(absl::UnavailableError("Kafka at kafka:9092 does not answer in time")),
            "Kafka at kafka:9092, which does not answer in time");
  EXPECT_EQ(reason(absl::NotFoundError("topic events does not exist")), "Kafka at kafka:9092: topic events does not exist");
}

TEST_F(JobMachineTest, ABatchOfTheOtherPartitionsDoesNotHideThatOneIsStuck) {
  CommitFirst();
  std::vector<SendFold> folds = RunToFolds({11, 21});
  FoldReply stuck = FoldedTo(folds[0], 10, 1);
  stuck.set_waiting_for("Kafka at kafka:9092 is not reachable");
  Reply(folds[0], stuck);
  Reply(folds[1], FoldedAs(folds[1], 1));
  const JournalRecord batch = TakeRecord();
  ASSERT_TRUE(batch.has_batch_committed());
  Apply(batch);
  EXPECT_EQ(job_.state(), JOB_WAITING);
  EXPECT_EQ(job_.Status().reason(), "Kafka at kafka:9092, which is not reachable");

  folds = RunToFolds({11, 22});
  FoldReply over = FoldedAs(folds[0], 1);
  over.set_waiting_for("Kafka at kafka:9092 is not reachable");
  Reply(folds[0], over);
  Reply(folds[1], FoldedAs(folds[1], 1));
  Apply(TakeRecord());
  EXPECT_EQ(job_.state(), JOB_RUNNING) << "it got to its target all the same";
}

// The first batch is merged by thresholds, and so dear that the next is merged by changes.
class JobMergedByChangesTest : public JobMachineTest {
 protected:
  JobMergedByChangesTest() {
    cluster_.merge_floor = 0;
    const std::vector<SendFold> folds = RunToFolds({10, 20});
    for (const SendFold& send : folds) {
      FoldReply reply = FoldedAs(send, 1);
      reply.set_keys(1);
      Reply(send, reply);
    }
    Apply(TakeRecord());
    Take<PublishBatch>();
  }

  static void Add(const std::string& key, Units sum, google::protobuf::RepeatedPtrField<Entry>* entries) {
    Entry* entry = entries->Add();
    entry->set_key(key);
    *entry->mutable_sum() = ToProto(sum);
  }
  static FoldReply Unknown(const SendFold& send) {
    FoldReply reply = FoldedAs(send, 0);
    reply.clear_entries();
    return reply;
  }
  static FoldReply Changed(const SendFold& send, const std::string& key, Units added) {
    FoldReply reply = Unknown(send);
    Add(key, added, reply.mutable_changes()->mutable_added());
    return reply;
  }
  void LookedUp(const SendLookUp& send, const LookUpReply& reply) {
    job_.OnLookUpReply(send.worker, send.request, reply, now_ms_, &actions_);
  }
  // Every key of `a` and `b`, asked for because the driver has none.
  void TellAll(Units a, Units b) {
    const std::vector<SendLookUp> look_ups = Take<SendLookUp>();
    EXPECT_THAT(look_ups, SizeIs(2));
    for (const SendLookUp& send : look_ups) {
      EXPECT_EQ(FromProto(send.request.at_or_above()), std::numeric_limits<Units>::min());
      LookUpReply reply;
      Add("page", send.worker == "a" ? a : b, reply.mutable_at_or_above());
      LookedUp(send, reply);
    }
  }
  // Commits a batch of all keys, at offsets 11 and 21.
  void CommitAll(Units a, Units b) {
    for (const SendFold& send : RunToFolds({11, 21})) Reply(send, Unknown(send));
    TellAll(a, b);
    Apply(TakeRecord());
    Take<PublishBatch>();
  }
  Units TopSum() { return FromProto(TakeRecord().batch_committed().top(0).sum()); }
};

TEST_F(JobMergedByChangesTest, AsksForAllKeysOnceAndThenForWhatChangedSinceTheComposition) {
  for (const SendFold& send : RunToFolds({11, 21})) {
    EXPECT_EQ(send.request.depth(), 0u);
    EXPECT_THAT(send.request.since(), IsEmpty());
    Reply(send, Unknown(send));
  }
  TellAll(30, 4);
  const BatchCommitted all = TakeRecord().batch_committed();
  EXPECT_EQ(FromProto(all.top(0).sum()), 34);
  EXPECT_EQ(all.proof().rounds(), 1u);
  EXPECT_EQ(all.proof().entries(), 2u);
  EXPECT_FALSE(all.proof().has_unseen_bound());
}

TEST_F(JobMergedByChangesTest, AddsWhatChanged) {
  CommitAll(30, 4);
  const std::vector<SendFold> folds = RunToFolds({12, 22});
  ASSERT_THAT(folds[0].request.since(), SizeIs(1));
  EXPECT_EQ(folds[0].request.since(0).next_offset(), 11);
  EXPECT_EQ(folds[1].request.since(0).next_offset(), 21);
  Reply(folds[0], Changed(folds[0], "page", 5));
  Reply(folds[1], Changed(folds[1], "new", 0));
  EXPECT_THAT(Take<SendLookUp>(), IsEmpty());
  const BatchCommitted batch = TakeRecord().batch_committed();
  ASSERT_EQ(batch.top_size(), 2);
  EXPECT_EQ(FromProto(batch.top(0).sum()), 39);
  EXPECT_EQ(batch.top(1).key(), "new");
  EXPECT_EQ(FromProto(batch.proof().kth_total()), 0);
  EXPECT_EQ(batch.proof().entries(), 2u);
}

TEST_F(JobMergedByChangesTest, QuotesWhatItHasAgainAfterALostReply) {
  CommitAll(30, 4);
  std::vector<SendFold> folds = RunToFolds({12, 22});
  Reply(folds[0], Changed(folds[0], "page", 5));
  Reply(folds[1], absl::UnavailableError("lost"));
  folds = RunToFolds({13, 23});
  EXPECT_EQ(folds[0].request.since(0).next_offset(), 11) << "nothing of the first attempt was added";
  Reply(folds[0], Changed(folds[0], "page", 6));
  Reply(folds[1], Changed(folds[1], "page", 2));
  EXPECT_EQ(TopSum(), 42);
}

TEST_F(JobMergedByChangesTest, ALateReplyIsNotAdded) {
  CommitAll(30, 4);
  const std::vector<SendFold> first = RunToFolds({12, 22});
  Reply(first[1], absl::UnavailableError("lost"));
  const std::vector<SendFold> second = RunToFolds({13, 23});
  Reply(first[0], Changed(first[0], "page", 1000));
  Reply(second[0], Changed(second[0], "page", 6));
  Reply(second[0], Changed(second[0], "page", 6));
  Reply(second[1], Changed(second[1], "page", 2));
  EXPECT_EQ(TopSum(), 42);
}

TEST_F(JobMergedByChangesTest, LooksTheRestOfManyChangesUp) {
  CommitAll(30, 4);
  const std::vector<SendFold> folds = RunToFolds({12, 22});
  FoldReply part = Changed(folds[0], "page", 5);
  part.mutable_changes()->set_next(1);
  Reply(folds[0], part);
  Reply(folds[1], Changed(folds[1], "page", 2));
  for (const uint64_t from : {1u, 2u}) {
    const std::vector<SendLookUp> look_ups = Take<SendLookUp>();
    ASSERT_THAT(look_ups, SizeIs(1));
    EXPECT_EQ(look_ups[0].request.changes_from(), from);
    EXPECT_EQ(look_ups[0].request.composition(0).next_offset(), 12);
    LookUpReply reply;
    Add("other" + std::to_string(from), 50, reply.mutable_changes()->mutable_added());
    if (from == 1) reply.mutable_changes()->set_next(2);
    LookedUp(look_ups[0], reply);
    LookedUp(look_ups[0], reply);
  }
  const BatchCommitted batch = TakeRecord().batch_committed();
  EXPECT_EQ(batch.top(0).key(), "other1");
  EXPECT_EQ(batch.top(1).key(), "other2");
  EXPECT_EQ(FromProto(batch.top(1).sum()), 50);
}

TEST_F(JobMergedByChangesTest, AsksForAllKeysAgainWhereAPartCameOnlyHalf) {
  CommitAll(30, 4);
  std::vector<SendFold> folds = RunToFolds({12, 22});
  FoldReply part = Changed(folds[0], "page", 5);
  part.mutable_changes()->set_next(1);
  Reply(folds[0], part);
  Reply(folds[1], Changed(folds[1], "page", 2));
  const std::vector<SendLookUp> look_ups = Take<SendLookUp>();
  ASSERT_THAT(look_ups, SizeIs(1));
  job_.OnLookUpReply("a", look_ups[0].request, absl::UnavailableError("lost"), now_ms_, &actions_);
  folds = RunToFolds({12, 22});
  for (const SendFold& send : folds) {
    EXPECT_THAT(send.request.since(), IsEmpty());
    Reply(send, Unknown(send));
  }
  TellAll(36, 6);
  EXPECT_EQ(TopSum(), 42);
}

TEST_F(JobMergedByChangesTest, AsksForAllKeysAgainWhereAWorkerDoesNotKnowTheComposition) {
  CommitAll(30, 4);
  const std::vector<SendFold> folds = RunToFolds({12, 22});
  Reply(folds[0], Changed(folds[0], "page", 1000));
  Reply(folds[1], Unknown(folds[1]));
  TellAll(36, 6);
  EXPECT_EQ(TopSum(), 42);
}

TEST_F(JobMergedByChangesTest, AsksForAllKeysAgainOfAProcessThatStartedAgain) {
  CommitAll(30, 4);
  cluster_.workers["b"].incarnation = 8;
  for (const SendFold& send : RunToFolds({12, 22})) {
    EXPECT_THAT(send.request.since(), IsEmpty());
    Reply(send, Unknown(send));
  }
  TellAll(36, 6);
  EXPECT_EQ(TopSum(), 42);
}

TEST_F(JobMergedByChangesTest, MergesByThresholdsWhereTheMemoryDoesNotSuffice) {
  CommitAll(30, 4);
  cluster_.merge_memory->limit = 1;
  std::vector<SendFold> folds = RunToFolds({12, 22});
  for (const SendFold& send : folds) Reply(send, Changed(send, "page", 5));
  EXPECT_FALSE(TakeRecord().has_batch_committed());
  EXPECT_EQ(cluster_.merge_memory->used, 0u);
  for (const QueryEnds& query : Take<QueryEnds>())
    job_.OnEnds(query.query, std::vector<int64_t>{12, 22}, now_ms_, &actions_);
  folds = Take<SendFold>();
  ASSERT_THAT(folds, SizeIs(2));
  EXPECT_EQ(folds[0].request.depth(), 4u);
  EXPECT_THAT(folds[0].request.since(), IsEmpty());
  EXPECT_EQ(FromProto(FoldAll(folds, 35, 9).batch_committed().top(0).sum()), 44);
}

}  // namespace
}  // namespace tenfold
