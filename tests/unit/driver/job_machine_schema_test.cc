// A job whose records name schemas of a registry (rule L1 of the job language).
#include <string>
#include <vector>

#include "tests/unit/driver/job_machine_fixture.h"

namespace tenfold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class JobSchemaTest : public JobMachineTest {
 protected:
  static LearnedSchema Schema(uint32_t id) {
    LearnedSchema schema;
    schema.set_id(id);
    schema.set_avro("\"string\"");
    schema.set_registry("http://registry:8081");
    return schema;
  }
  static FoldReply Needing(FoldReply reply, uint32_t id) {
    NeededSchema* const need = reply.add_needs_schemas();
    need->set_id(id);
    need->set_partition(reply.composition(0).partition());
    need->set_offset(reply.composition(0).next_offset());
    return reply;
  }
  // Worker a stops at offset 4 in front of a record by schema 7, and b folds all. Returns the batch.
  JournalRecord StopA() {
    const std::vector<Send<FoldRequest>> folds = RunToFolds({10, 20});
    Reply(folds[0], Needing(FoldedTo(folds[0], 4, 1), 7));
    Reply(folds[1], FoldedAs(folds[1], 1));
    return TakeRecord();
  }
};

TEST_F(JobSchemaTest, TheRegistryIsAskedOnceWhileABatchIsMadeOfWhatThereIs) {
  const JournalRecord batch = StopA();
  ASSERT_TRUE(batch.has_batch_committed());
  EXPECT_THAT(batch.batch_committed().next_offsets(), ElementsAre(4, 20));
  const std::vector<AskSchema> asked = Take<AskSchema>();
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_EQ(asked[0].id, 7u);
  EXPECT_EQ(asked[0].states_id, "id");
  Apply(batch);
  EXPECT_EQ(job_.waiting().kind(), WAITING_SCHEMA);
  EXPECT_THAT(Take<AskSchema>(), IsEmpty());
}

TEST_F(JobSchemaTest, APartitionThatWaitsIsNoBacklog) {
  const JournalRecord batch = StopA();
  Apply(batch);
  const int64_t start_us = job_.NextTimeUs();
  EXPECT_GT(start_us, now_us_);
  // Of the next attempt; the registry is asked no sooner either, as it has yet to answer.
  now_us_ = start_us - 1;
  job_.OnTime(now_us_, &actions_);
  EXPECT_THAT(Take<QueryEnds>(), IsEmpty());
}

TEST_F(JobSchemaTest, WhatItSaysIsJournalledBeforeAnyWorkerIsTold) {
  const JournalRecord batch = StopA();
  const std::vector<AskSchema> asked = Take<AskSchema>();
  ASSERT_THAT(asked, SizeIs(1));
  // It comes while the batch is on its way to the journal.
  job_.OnSchema(asked[0], Schema(7), now_us_, &actions_);
  EXPECT_THAT(Take<AppendRecord>(), IsEmpty());
  Apply(batch);
  const JournalRecord learned = TakeRecord();
  ASSERT_TRUE(learned.has_schema_learned());
  EXPECT_EQ(learned.schema_learned().states_id(), "");
  EXPECT_EQ(learned.schema_learned().schema().id(), 7u);
  EXPECT_THAT(Take<Send<AssignRequest>>(), IsEmpty());
  Apply(learned);
  // At once, and by requests that come after all that say less.
  AnswerEnds({10, 20});
  const std::vector<Send<AssignRequest>> assigns = Take<Send<AssignRequest>>();
  ASSERT_THAT(assigns, SizeIs(2));
  for (const Send<AssignRequest>& assign : assigns) {
    ASSERT_THAT(assign.request.schemas(), SizeIs(1));
    EXPECT_EQ(assign.request.schemas(0).avro(), "\"string\"");
    EXPECT_GT(assign.request.id().attempt(), batch.batch_committed().attempt());
  }
}

TEST_F(JobSchemaTest, AnAcknowledgementOfWhatWasKnownBeforeCountsForNothing) {
  Apply(StopA());
  const std::vector<AskSchema> asked = Take<AskSchema>();
  ASSERT_THAT(asked, SizeIs(1));
  // Both workers are told of nothing new, and answer once the job has learned more.
  cluster_.workers["b"].state = WORKER_LOST;
  job_.OnWorkersChanged(now_us_, &actions_);
  Take<AppendRecord>();
  cluster_.workers["b"].state = WORKER_LIVE;
  Send<AssignRequest> before{"a", {}};
  before.request = job_.job().MakeAssign("a", RequestId());
  before.request.mutable_id()->set_job_id("id");
  before.request.mutable_id()->set_epoch(cluster_.epoch);
  before.request.mutable_id()->set_assignment(job_.job().assignment_number);
  before.request.mutable_id()->set_attempt(1'000);
  JournalRecord learned;
  learned.mutable_schema_learned()->set_job_id("id");
  *learned.mutable_schema_learned()->mutable_schema() = Schema(7);
  Apply(learned);
  AnswerEnds({10, 20});
  Take<Send<AssignRequest>>();
  job_.OnReply(before, AssignReply(), now_us_, &actions_);
  EXPECT_THAT(Take<Send<FoldRequest>>(), IsEmpty());
}

TEST_F(JobSchemaTest, ARefoldAsksForWhatItsOwnStatesNeedAndKnowsWhatTheJobKnows) {
  const JournalRecord batch = StopA();
  const std::vector<AskSchema> asked = Take<AskSchema>();
  ASSERT_THAT(asked, SizeIs(1));
  job_.OnSchema(asked[0], Schema(7), now_us_, &actions_);
  Apply(batch);
  Apply(TakeRecord());
  LearnedSchema unknown;
  unknown.set_id(8);
  unknown.set_problem("there is none");
  JournalRecord second;
  second.mutable_schema_learned()->set_job_id("id");
  *second.mutable_schema_learned()->mutable_schema() = unknown;
  Apply(second);
  JournalRecord begun;
  begun.mutable_refold_begun()->set_job_id("id");
  begun.mutable_refold_begun()->set_states_id("id.new");
  *begun.mutable_refold_begun()->mutable_spec() = Submitted().spec();
  begun.mutable_refold_begun()->mutable_spec()->mutable_fold()->set_key("other");
  begun.mutable_refold_begun()->add_sinks_after(0);
  const JournalRecord asked_for = Change(begun);
  ASSERT_TRUE(asked_for.has_refold_begun());
  Apply(asked_for);
  const JournalRecord assigned = TakeRecord();
  ASSERT_EQ(assigned.shards_assigned().states_id(), "id.new");
  Apply(assigned);
  std::vector<Send<PrepareRequest>> prepares;
  for (const Send<AssignRequest>& assign : Take<Send<AssignRequest>>()) {
    if (assign.request.id().job_id() != "id.new") continue;
    // The one that the registry did not have is asked for again.
    ASSERT_THAT(assign.request.schemas(), SizeIs(1));
    EXPECT_EQ(assign.request.schemas(0).id(), 7u);
    job_.OnReply(assign, AssignReply(), now_us_, &actions_);
  }
  for (Send<PrepareRequest>& prepare : Take<Send<PrepareRequest>>()) prepares.push_back(std::move(prepare));
  ASSERT_THAT(prepares, SizeIs(2));
  PrepareReply reply;
  reply.add_needs_schemas()->set_id(8);
  job_.OnReply(prepares[0], reply, now_us_, &actions_);
  const std::vector<AskSchema> again = Take<AskSchema>();
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_EQ(again[0].states_id, "id.new");
  EXPECT_EQ(again[0].id, 8u);
  // It would answer the same at once.
  EXPECT_THAT(Take<Send<PrepareRequest>>(), IsEmpty());
}

}  // namespace
}  // namespace tenfold
