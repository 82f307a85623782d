// A job whose states are built anew for another spec while it goes on (rule L2 of the job language).
#include <optional>
#include <string>

#include "driver/core/job_windows.h"
#include "tests/unit/driver/job_machine_fixture.h"

namespace tenfold {
namespace {

using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class JobRefoldTest : public JobMachineTest {
 protected:
  static JournalRecord Begun() {
    JournalRecord change;
    RefoldBegun* begun = change.mutable_refold_begun();
    begun->set_job_id("id");
    begun->set_states_id("id.new");
    *begun->mutable_spec() = Submitted().spec();
    begun->mutable_spec()->mutable_fold()->set_key("other");
    begun->add_sinks_after(std::numeric_limits<uint64_t>::max());
    return change;
  }

  // After batch 1 the refold begins; returns what workers are asked to prepare of its states.
  std::vector<Send<PrepareRequest>> Begin() {
    CommitFirst();
    const JournalRecord begun = Change(Begun());
    EXPECT_TRUE(begun.has_refold_begun());
    Apply(begun);
    const JournalRecord assigned = TakeRecord();
    EXPECT_EQ(assigned.shards_assigned().states_id(), "id.new");
    Apply(assigned);
    std::vector<std::string> told;
    for (const Send<AssignRequest>& send : Take<Send<AssignRequest>>()) {
      EXPECT_EQ(send.request.id().job_id(), "id.new");
      EXPECT_EQ(send.request.spec().fold().key(), "other");
      EXPECT_THAT(send.request.owned(), IsEmpty());
      told.push_back(send.worker);
      job_.OnReply(send, AssignReply(), now_us_, &actions_);
    }
    EXPECT_THAT(told, UnorderedElementsAre("a", "b"));
    // The attempt that began meanwhile finds nothing.
    AnswerEnds({10, 20});
    return Take<Send<PrepareRequest>>();
  }

  void Prepared(const Send<PrepareRequest>& send, std::optional<int64_t> next_offset = std::nullopt) {
    PrepareReply reply;
    ShardPosition* position = reply.add_shards();
    position->set_shard(send.request.targets(0).partition());
    *position->mutable_offsets() = send.request.targets();
    if (next_offset) position->mutable_offsets(0)->set_next_offset(*next_offset);
    job_.OnReply(send, reply, now_us_, &actions_);
  }
};

TEST_F(JobRefoldTest, IsBuiltBesideTheBatchesAndThenMakesThem) {
  const std::vector<Send<PrepareRequest>> prepares = Begin();
  ASSERT_THAT(prepares, SizeIs(2));
  EXPECT_EQ(prepares[0].request.id().job_id(), "id.new");
  EXPECT_EQ(job_.job().spec.fold().key(), "");
  Prepared(prepares[0]);
  EXPECT_FALSE(TakeRecord().has_refold_switched()) << "one shard is not there yet";

  // A batch is made of the former states meanwhile, and who was there prepares up to it.
  const JournalRecord second = FoldAll(RunToFolds({30, 40}), 1, 1);
  ASSERT_EQ(second.batch_committed().batch(), 2u);
  EXPECT_EQ(second.batch_committed().fold(), 0u);
  Apply(second);
  const std::vector<Send<PrepareRequest>> again = Take<Send<PrepareRequest>>();
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_EQ(again[0].worker, prepares[0].worker);
  EXPECT_EQ(again[0].request.targets(0).next_offset(), again[0].request.targets(0).partition() == 0 ? 30 : 40);

  // The other one has yet to come so far.
  Prepared(prepares[1]);
  const std::vector<Send<PrepareRequest>> further = Take<Send<PrepareRequest>>();
  ASSERT_THAT(further, SizeIs(1));
  EXPECT_EQ(further[0].worker, prepares[1].worker);
  Prepared(again[0]);
  EXPECT_FALSE(TakeRecord().has_refold_switched());
  Prepared(further[0]);
  const JournalRecord switched = TakeRecord();
  ASSERT_TRUE(switched.has_refold_switched()) << switched.ShortDebugString();
  EXPECT_EQ(switched.refold_switched().sinks_after(0), 2u) << "a new sink gets the batches after the switch";
  Apply(switched);
  EXPECT_EQ(job_.job().spec.fold().key(), "other");
  EXPECT_EQ(job_.Status().spec().fold().key(), "") << "what is shown is of the last batch";
  EXPECT_FALSE(job_.HasStates("id"));

  const std::vector<Send<FoldRequest>> folds = RunToFolds({30, 40});
  EXPECT_EQ(folds[0].request.id().job_id(), "id.new");
  const JournalRecord third = FoldAll(folds, 1, 1);
  ASSERT_EQ(third.batch_committed().batch(), 3u) << "a batch is due although nothing came";
  EXPECT_EQ(third.batch_committed().fold(), 1u);
  Apply(third);
  EXPECT_EQ(job_.Status().spec().fold().key(), "other");
}

TEST_F(JobRefoldTest, WhatWorkersSayOfTheFormerStatesAfterTheSwitchIsIgnored) {
  const std::vector<Send<PrepareRequest>> prepares = Begin();
  ASSERT_THAT(prepares, SizeIs(2));
  for (const Send<PrepareRequest>& send : prepares) Prepared(send);
  const JournalRecord switched = TakeRecord();
  ASSERT_TRUE(switched.has_refold_switched()) << switched.ShortDebugString();
  Apply(switched);
  now_us_ += kIntervalUs;
  job_.OnTime(now_us_, &actions_);
  AnswerEnds({12, 22});
  const std::vector<Send<AssignRequest>> assigns = Take<Send<AssignRequest>>();
  const auto folds_after_acks_of = [&](const std::string& states_id) {
    for (Send<AssignRequest> send : assigns) {
      send.request.mutable_id()->set_job_id(states_id);
      job_.OnReply(send, AssignReply(), now_us_, &actions_);
    }
    return !Take<Send<FoldRequest>>().empty();
  };
  EXPECT_FALSE(folds_after_acks_of("id")) << "no worker has acknowledged the new states";
  EXPECT_TRUE(folds_after_acks_of("id.new"));
}

// Batches that follow each other at once leave no moment in which all is there.
TEST_F(JobRefoldTest, SwitchesToStatesThatWereThereForSomeBatchesInARow) {
  std::vector<Send<PrepareRequest>> prepares = Begin();
  ASSERT_THAT(prepares, SizeIs(2));
  int64_t end = 20;
  int batches = 0;
  while (!job_.is_ending_refold() && batches < 10) {
    end += 10;
    const std::vector<Send<FoldRequest>> folds = RunToFolds({end, end});
    for (const Send<PrepareRequest>& send : prepares) Prepared(send);
    Apply(FoldAll(folds, 1, 1));
    ++batches;
    prepares = Take<Send<PrepareRequest>>();
  }
  EXPECT_EQ(batches, 5);
}

TEST_F(JobRefoldTest, AnUpdateCallsItOff) {
  Begin();
  const JournalRecord updated = Update(Submitted().spec());
  ASSERT_TRUE(updated.has_job_updated());
  Apply(updated);
  EXPECT_EQ(job_.refold(), nullptr);
  EXPECT_FALSE(job_.HasStates("id.new"));
  EXPECT_FALSE(job_.Status().has_refold());
}

TEST_F(JobRefoldTest, EndsAndSaysWhyWhereTheLogsStartIsGone) {
  const std::vector<Send<PrepareRequest>> prepares = Begin();
  found_.begins = {0, 1};
  job_.OnPartitions(found_, now_us_, &actions_);
  const JournalRecord ended = TakeRecord();
  ASSERT_TRUE(ended.has_refold_ended()) << ended.ShortDebugString();
  Apply(ended);
  EXPECT_EQ(job_.Status().refold_failure(), ended.refold_ended().reason());
  EXPECT_EQ(job_.state(), JOB_RUNNING);
  EXPECT_EQ(job_.job().spec.fold().key(), "");
  // It is said until the spec changes.
  Apply(Update(Submitted().spec()));
  EXPECT_EQ(job_.Status().refold_failure(), "");
}

TEST_F(JobRefoldTest, EndsAndSaysWhatAWorkerSaysOfTheLog) {
  const std::vector<Send<PrepareRequest>> prepares = Begin();
  ASSERT_THAT(prepares, SizeIs(2));
  PrepareReply failed;
  failed.mutable_failure()->set_reason("events[0] offset 3: the record is bad");
  job_.OnReply(prepares[0], failed, now_us_, &actions_);
  EXPECT_EQ(TakeRecord().refold_ended().reason(), "events[0] offset 3: the record is bad");
}

TEST_F(JobRefoldTest, APausedJobSwitchesOnceItGoesOn) {
  const std::vector<Send<PrepareRequest>> prepares = Begin();
  Apply(SetPaused(true));
  for (const Send<PrepareRequest>& send : prepares) Prepared(send);
  EXPECT_EQ(TakeRecord().kind_case(), JournalRecord::KIND_NOT_SET);
  Apply(SetPaused(false));
  EXPECT_TRUE(TakeRecord().has_refold_switched());
}

TEST_F(JobRefoldTest, IsBuiltByOthersWhereAWorkerIsLost) {
  Begin();
  cluster_.workers["b"].state = WORKER_LOST;
  job_.OnWorkersChanged(now_us_, &actions_);
  // That of the batches comes first.
  const JournalRecord first = TakeRecord();
  ASSERT_EQ(first.shards_assigned().states_id(), "");
  Apply(first);
  AnswerEnds({10, 20});
  const JournalRecord second = TakeRecord();
  ASSERT_EQ(second.shards_assigned().states_id(), "id.new");
  for (const ShardAssignment& shard : second.shards_assigned().shards()) EXPECT_EQ(shard.next_owner(), "a");
}

TEST_F(JobRefoldTest, WhatAWorkerHadReadyIsPreparedAgainByItsNextProcess) {
  const std::vector<Send<PrepareRequest>> prepares = Begin();
  ASSERT_THAT(prepares, SizeIs(2));
  Apply(SetPaused(true));
  for (const Send<PrepareRequest>& send : prepares) Prepared(send);
  cluster_.workers["b"].incarnation = 8;
  job_.OnWorkersChanged(now_us_, &actions_);
  Apply(SetPaused(false));
  EXPECT_FALSE(TakeRecord().has_refold_switched());
  for (const Send<AssignRequest>& send : Take<Send<AssignRequest>>()) {
    if (send.request.id().job_id() == "id.new") job_.OnReply(send, AssignReply(), now_us_, &actions_);
  }
  const std::vector<Send<PrepareRequest>> again = Take<Send<PrepareRequest>>();
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_EQ(again[0].worker, "b");
}

TEST_F(JobRefoldTest, EndsWhereTheJobsOwnShardsNeedItsPlace) {
  Begin();
  for (const char* lost : {"a", "b"}) cluster_.workers[lost].state = WORKER_LOST;
  WorkerInfo& left = cluster_.workers["c"];
  left.state = WORKER_LIVE;
  left.incarnation = 7;
  left.jobs = left.max_jobs = 1;
  left.limit = "its limit of 20 open files";
  job_.OnWorkersChanged(now_us_, &actions_);
  EXPECT_THAT(TakeRecord().refold_ended().reason(),
              testing::HasSubstr("need the place: worker c runs 1 job, as many as its limit of 20 open files allows"));
}

TEST_F(JobRefoldTest, SaysWhatAWorkerCannotDoOfIt) {
  const std::vector<Send<PrepareRequest>> prepares = Begin();
  ASSERT_THAT(prepares, SizeIs(2));
  job_.OnReply(prepares[0], absl::StatusOr<PrepareReply>(absl::UnavailableError("no route")), now_us_, &actions_);
  EXPECT_EQ(job_.Status().refold().problem(), "worker " + prepares[0].worker + ": no route");
  PrepareReply waits;
  waits.mutable_waiting()->set_detail("Kafka is not reachable");
  job_.OnReply(prepares[1], waits, now_us_, &actions_);
  EXPECT_THAT(job_.Status().refold().problem(), testing::HasSubstr(": "));
  cluster_.workers["b"].state = WORKER_LOST;
  EXPECT_THAT(job_.Status().refold().problem(), testing::HasSubstr("worker b, which builds shard "));
}

TEST_F(JobRefoldTest, TellsThatItIsEndingUntilThatIsJournalled) {
  const std::vector<Send<PrepareRequest>> prepares = Begin();
  for (const Send<PrepareRequest>& send : prepares) Prepared(send);
  EXPECT_TRUE(job_.is_ending_refold());
  Apply(TakeRecord());
  EXPECT_FALSE(job_.is_ending_refold());
}

TEST_F(JobRefoldTest, ShowsHowFarItIs) {
  const std::vector<Send<PrepareRequest>> prepares = Begin();
  ASSERT_THAT(prepares, SizeIs(2));
  const Send<PrepareRequest>& of_first = prepares[prepares[0].request.targets(0).partition() == 0 ? 0 : 1];
  Prepared(of_first, 4);
  const RefoldStatus status = job_.Status().refold();
  EXPECT_EQ(status.progress().folded(), 4u);
  EXPECT_EQ(status.progress().total(), 30u);
  EXPECT_EQ(status.problem(), "");
  EXPECT_EQ(status.spec().fold().key(), "other");
}

// A driver that starts again reads all other records before the last batch.
TEST_F(JobRefoldTest, GoesOnWhereADriverStartsAgain) {
  CommitFirst();
  JournalRecord batch;
  *batch.mutable_batch_committed() = job_.job().last_batch;
  JournalRecord assigned;
  assigned.mutable_shards_assigned()->set_job_id("id");
  for (const char* worker : {"a", "b"}) assigned.mutable_shards_assigned()->add_shards()->set_owner(worker);
  JournalRecord built = assigned;
  built.mutable_shards_assigned()->set_states_id("id.new");
  for (ShardAssignment& shard : *built.mutable_shards_assigned()->mutable_shards()) {
    shard.set_next_owner(shard.owner());
    shard.clear_owner();
  }
  JournalRecord switched;
  switched.mutable_refold_switched()->set_job_id("id");
  JobMachine again(&cluster_, Submitted(), 0);
  Actions none;
  for (const JournalRecord& record : {assigned, Begun(), built, batch}) again.Apply(record, now_us_, &none);
  ASSERT_NE(again.refold(), nullptr);
  EXPECT_EQ(again.refold()->job().next_offsets, (std::vector<int64_t>{10, 20}));
  JobMachine after(&cluster_, Submitted(), 0);
  for (const JournalRecord& record : {assigned, Begun(), built, switched, batch}) after.Apply(record, now_us_, &none);
  EXPECT_EQ(after.job().fold(), 1u);
  EXPECT_EQ(after.job().assignment[1].owner(), "b");
  EXPECT_TRUE(after.job().IsBatchDue());
  EXPECT_THAT(after.job().Digests(), IsEmpty()) << "those of the batch are of former states";
  EXPECT_EQ(after.job().SpecOf(batch.batch_committed()).fold().key(), "");
}

// ---- windows ----

FoldWindow Tumbling(int64_t pane_us, uint32_t panes = 1) {
  FoldWindow window;
  window.set_unit(PANE_FIXED);
  window.set_panes(panes);
  window.set_pane_us(pane_us);
  return window;
}

constexpr int64_t kHourUs = 3'600'000'000;

JournalledJob WithWindow(const FoldWindow& window) {
  JobSubmitted submitted = Submitted();
  *submitted.mutable_spec()->mutable_fold()->mutable_general()->mutable_window() = window;
  return {submitted, 0, ""};
}

void Switch(JournalledJob* job, const FoldWindow& window, std::optional<int64_t> closed_until_us) {
  RefoldBegun begun;
  *begun.mutable_spec() = job->spec;
  begun.mutable_spec()->mutable_fold()->mutable_general()->clear_window();
  if (window.pane_us() > 0) *begun.mutable_spec()->mutable_fold()->mutable_general()->mutable_window() = window;
  RefoldSwitched switched;
  if (closed_until_us) switched.set_closed_until_us(*closed_until_us);
  job->Switch(job->Refolded(begun), switched);
}

JournalRecord Closed(const JournalledJob& job, int64_t window) {
  JournalRecord record;
  record.mutable_batch_committed()->set_batch(job.last_batch.batch() + 1);
  record.mutable_batch_committed()->set_fold(job.fold());
  record.mutable_batch_committed()->set_closed_through(window);
  return record;
}

TEST(JournalledJobTest, WindowsThatHaveBeenFinalStayFinalOverARefold) {
  JournalledJob job = WithWindow(Tumbling(kHourUs));
  EXPECT_EQ(job.ClosedUntilUs(), std::nullopt);
  job.Apply(Closed(job, 10));
  const int64_t until = job.ClosedUntilUs().value();
  EXPECT_EQ(until, JobWindows(job.spec).EndOf(10));
  // The same windows.
  Switch(&job, Tumbling(kHourUs), until);
  EXPECT_EQ(job.closed_through(), 10);
  EXPECT_EQ(job.ClosedUntilUs(), until);
  // Longer ones, of which the last that ends by then is final, and shorter ones.
  Switch(&job, Tumbling(4 * kHourUs), until);
  EXPECT_EQ(JobWindows(job.spec).EndOf(job.closed_through().value()), 8 * kHourUs);
  Switch(&job, Tumbling(kHourUs / 6), until);
  EXPECT_EQ(JobWindows(job.spec).EndOf(job.closed_through().value()), until);
  // Sliding ones, by their ends.
  Switch(&job, Tumbling(kHourUs / 2, 6), until);
  EXPECT_EQ(JobWindows(job.spec).EndOf(job.closed_through().value()), until);
}

TEST(JournalledJobTest, AFoldWithoutWindowsForgetsNotWhichHaveBeenFinal) {
  JournalledJob job = WithWindow(Tumbling(kHourUs));
  job.Apply(Closed(job, 10));
  const std::optional<int64_t> until = job.ClosedUntilUs();
  Switch(&job, {}, until);
  EXPECT_EQ(job.closed_through(), std::nullopt);
  EXPECT_EQ(job.ClosedUntilUs(), until);
  Switch(&job, Tumbling(kHourUs), job.ClosedUntilUs());
  EXPECT_EQ(job.closed_through(), 10);
}

}  // namespace
}  // namespace tenfold
