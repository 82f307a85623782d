// The job machine's merges: what it asks of workers and what it makes of their answers.
#include <limits>
#include <utility>
#include <vector>

#include "driver/core/job_machine.h"
#include "tests/unit/driver/job_machine_fixture.h"

namespace tenfold {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class JobMergedByThresholdsTest : public JobMachineTest {
 protected:
  static FoldReply OnlyChanged(const Send<FoldRequest>& send, std::optional<Units> sum) {
    const FoldReply all = FoldedAs(send, sum.value_or(0));
    FoldReply reply = all;
    *reply.mutable_updates()->mutable_entries() = all.highest().entries();
    if (!sum) reply.mutable_updates()->clear_entries();
    return reply;
  }
};

TEST_F(JobMergedByThresholdsTest, AsksOnceForTheEntriesAndThenForThoseThatChanged) {
  for (const Send<FoldRequest>& send : RunToFolds({10, 20})) {
    EXPECT_TRUE(send.request.has_highest());
    Reply(send, FoldedAs(send, 3));
  }
  Apply(TakeRecord());
  for (const Send<FoldRequest>& send : RunToFolds({11, 21})) {
    ASSERT_THAT(send.request.updates().since(), SizeIs(1));
    EXPECT_EQ(send.request.updates().since(0).next_offset(), send.worker == "a" ? 10 : 20);
    EXPECT_EQ(send.request.updates().otherwise().depth(), 4u);
    Reply(send, OnlyChanged(send, send.worker == "a" ? std::optional<Units>(5) : std::nullopt));
  }
  const JournalRecord record = TakeRecord();
  ASSERT_THAT(record.batch_committed().top(), SizeIs(1));
  EXPECT_EQ(FromProto(record.batch_committed().top(0).sum()), 8);
  EXPECT_EQ(record.batch_committed().proof().entries(), 1u) << "those read for this batch";
}

TEST_F(JobMergedByThresholdsTest, TakesAllEntriesOfAWorkerThatDoesNotKnowWhatChanged) {
  CommitFirst();
  for (const Send<FoldRequest>& send : RunToFolds({11, 21})) Reply(send, FoldedAs(send, 7));
  EXPECT_EQ(FromProto(TakeRecord().batch_committed().top(0).sum()), 14);
}

TEST_F(JobMergedByThresholdsTest, QuotesTheLastReplyAlsoOfAnAttemptThatCameToNothing) {
  CommitFirst();
  std::vector<Send<FoldRequest>> folds = RunToFolds({11, 21});
  Reply(folds[0], OnlyChanged(folds[0], 5));
  Reply(folds[1], absl::UnavailableError("gone"));
  EXPECT_FALSE(TakeRecord().has_batch_committed());
  folds = RunToFolds({12, 22});
  EXPECT_EQ(folds[0].request.updates().since(0).next_offset(), 10) << "only a merge takes replies in";
}

TEST_F(JobMergedByThresholdsTest, RefusesWhatChangedSinceNothing) {
  for (const Send<FoldRequest>& send : RunToFolds({10, 20})) Reply(send, OnlyChanged(send, 1));
  EXPECT_FALSE(TakeRecord().has_batch_committed());
  EXPECT_EQ(job_.waiting().kind(), WAITING_WORKER);
  EXPECT_THAT(job_.waiting().detail(), HasSubstr("no answer to what it was asked"));
}

// The first batch is merged by thresholds, and so dear that the next is merged by changes.
class JobMergedByChangesTest : public JobMachineTest {
 protected:
  JobMergedByChangesTest() : JobMachineTest({.merge_floor = 0}) {
    const std::vector<Send<FoldRequest>> folds = RunToFolds({10, 20});
    for (const Send<FoldRequest>& send : folds) {
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
  static FoldReply Unknown(const Send<FoldRequest>& send) {
    FoldReply reply = FoldedAs(send, 0);
    reply.clear_answer();
    return reply;
  }
  static FoldReply Changed(const Send<FoldRequest>& send, const std::string& key, Units added) {
    FoldReply reply = Unknown(send);
    Add(key, added, reply.mutable_changes()->mutable_added());
    return reply;
  }
  void LookedUp(const Send<LookUpRequest>& send, const LookUpReply& reply) { job_.OnReply(send, reply, now_us_, &actions_); }
  // Every key of `a` and `b`, asked for because the driver has none.
  void TellAll(Units a, Units b) {
    const std::vector<Send<LookUpRequest>> look_ups = Take<Send<LookUpRequest>>();
    EXPECT_THAT(look_ups, SizeIs(2));
    for (const Send<LookUpRequest>& send : look_ups) {
      EXPECT_EQ(FromProto(send.request.range().at_or_above()), std::numeric_limits<Units>::min());
      LookUpReply reply;
      Add("page", send.worker == "a" ? a : b, reply.mutable_entries());
      LookedUp(send, reply);
    }
  }
  // Commits a batch of all keys, at offsets 11 and 21.
  void CommitAll(Units a, Units b) {
    for (const Send<FoldRequest>& send : RunToFolds({11, 21})) Reply(send, Unknown(send));
    TellAll(a, b);
    Apply(TakeRecord());
    Take<PublishBatch>();
  }
  Units TopSum() { return FromProto(TakeRecord().batch_committed().top(0).sum()); }
};

TEST_F(JobMergedByChangesTest, AsksForAllKeysOnceAndThenForWhatChangedSinceTheComposition) {
  for (const Send<FoldRequest>& send : RunToFolds({11, 21})) {
    ASSERT_TRUE(send.request.has_changes());
    EXPECT_THAT(send.request.changes().since(), IsEmpty());
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
  const std::vector<Send<FoldRequest>> folds = RunToFolds({12, 22});
  ASSERT_THAT(folds[0].request.changes().since(), SizeIs(1));
  EXPECT_EQ(folds[0].request.changes().since(0).next_offset(), 11);
  EXPECT_EQ(folds[1].request.changes().since(0).next_offset(), 21);
  Reply(folds[0], Changed(folds[0], "page", 5));
  Reply(folds[1], Changed(folds[1], "new", 0));
  EXPECT_THAT(Take<Send<LookUpRequest>>(), IsEmpty());
  const BatchCommitted batch = TakeRecord().batch_committed();
  ASSERT_EQ(batch.top_size(), 2);
  EXPECT_EQ(FromProto(batch.top(0).sum()), 39);
  EXPECT_EQ(batch.top(1).key(), "new");
  EXPECT_EQ(FromProto(batch.proof().kth_total()), 0);
  EXPECT_EQ(batch.proof().entries(), 2u);
}

TEST_F(JobMergedByChangesTest, QuotesWhatItHasAgainAfterALostReply) {
  CommitAll(30, 4);
  std::vector<Send<FoldRequest>> folds = RunToFolds({12, 22});
  Reply(folds[0], Changed(folds[0], "page", 5));
  Reply(folds[1], absl::UnavailableError("lost"));
  folds = RunToFolds({13, 23});
  EXPECT_EQ(folds[0].request.changes().since(0).next_offset(), 11) << "nothing of the first attempt was added";
  Reply(folds[0], Changed(folds[0], "page", 6));
  Reply(folds[1], Changed(folds[1], "page", 2));
  EXPECT_EQ(TopSum(), 42);
}

TEST_F(JobMergedByChangesTest, ALateReplyIsNotAdded) {
  CommitAll(30, 4);
  const std::vector<Send<FoldRequest>> first = RunToFolds({12, 22});
  Reply(first[1], absl::UnavailableError("lost"));
  const std::vector<Send<FoldRequest>> second = RunToFolds({13, 23});
  Reply(first[0], Changed(first[0], "page", 1000));
  Reply(second[0], Changed(second[0], "page", 6));
  Reply(second[0], Changed(second[0], "page", 6));
  Reply(second[1], Changed(second[1], "page", 2));
  EXPECT_EQ(TopSum(), 42);
}

TEST_F(JobMergedByChangesTest, LooksTheRestOfManyChangesUp) {
  CommitAll(30, 4);
  const std::vector<Send<FoldRequest>> folds = RunToFolds({12, 22});
  FoldReply part = Changed(folds[0], "page", 5);
  part.mutable_changes()->set_next(1);
  Reply(folds[0], part);
  Reply(folds[1], Changed(folds[1], "page", 2));
  for (const uint64_t from : {1u, 2u}) {
    const std::vector<Send<LookUpRequest>> look_ups = Take<Send<LookUpRequest>>();
    ASSERT_THAT(look_ups, SizeIs(1));
    EXPECT_EQ(look_ups[0].request.changes().from(), from);
    EXPECT_EQ(look_ups[0].request.composition(0).next_offset(), 12);
    LookUpReply reply;
    Add("other" + std::to_string(from), 50, reply.mutable_entries());
    if (from == 1) reply.set_next(2);
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
  std::vector<Send<FoldRequest>> folds = RunToFolds({12, 22});
  FoldReply part = Changed(folds[0], "page", 5);
  part.mutable_changes()->set_next(1);
  Reply(folds[0], part);
  Reply(folds[1], Changed(folds[1], "page", 2));
  const std::vector<Send<LookUpRequest>> look_ups = Take<Send<LookUpRequest>>();
  ASSERT_THAT(look_ups, SizeIs(1));
  job_.OnReply(look_ups[0], absl::UnavailableError("lost"), now_us_, &actions_);
  folds = RunToFolds({12, 22});
  for (const Send<FoldRequest>& send : folds) {
    EXPECT_THAT(send.request.changes().since(), IsEmpty());
    Reply(send, Unknown(send));
  }
  TellAll(36, 6);
  EXPECT_EQ(TopSum(), 42);
}

TEST_F(JobMergedByChangesTest, AsksForAllKeysAgainWhereAWorkerDoesNotKnowTheComposition) {
  CommitAll(30, 4);
  const std::vector<Send<FoldRequest>> folds = RunToFolds({12, 22});
  Reply(folds[0], Changed(folds[0], "page", 1000));
  Reply(folds[1], Unknown(folds[1]));
  TellAll(36, 6);
  EXPECT_EQ(TopSum(), 42);
}

TEST_F(JobMergedByChangesTest, AsksForAllKeysAgainOfAProcessThatStartedAgain) {
  CommitAll(30, 4);
  cluster_.workers["b"].incarnation = 8;
  for (const Send<FoldRequest>& send : RunToFolds({12, 22})) {
    EXPECT_THAT(send.request.changes().since(), IsEmpty());
    Reply(send, Unknown(send));
  }
  TellAll(36, 6);
  EXPECT_EQ(TopSum(), 42);
}

TEST_F(JobMergedByChangesTest, MergesByThresholdsWhereTheMemoryDoesNotSuffice) {
  CommitAll(30, 4);
  cluster_.merge_memory->limit = 1;
  std::vector<Send<FoldRequest>> folds = RunToFolds({12, 22});
  for (const Send<FoldRequest>& send : folds) Reply(send, Changed(send, "page", 5));
  EXPECT_FALSE(TakeRecord().has_batch_committed());
  EXPECT_EQ(cluster_.merge_memory->used, 0u);
  AnswerEnds({12, 22});
  folds = Take<Send<FoldRequest>>();
  ASSERT_THAT(folds, SizeIs(2));
  EXPECT_EQ(folds[0].request.highest().depth(), 4u);
  EXPECT_EQ(FromProto(FoldAll(folds, 35, 9).batch_committed().top(0).sum()), 44);
}

}  // namespace
}  // namespace tenfold
