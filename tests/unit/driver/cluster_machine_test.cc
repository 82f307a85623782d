// The driver's decisions about the cluster, step by step. What follows from any order of events is the simulator's to find
// out (tests/simulation).
#include "driver/core/cluster_machine.h"

#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr uint32_t kLeaseMs = 3000;
constexpr int64_t kLeaseUs = 1000 * kLeaseMs;
constexpr int64_t kStartOffset = 1000;

class ClusterMachineTest : public testing::Test {
 protected:
  ClusterMachineTest() {
    machine_.Start("cluster", 5, now_us_, &actions_);
    JournalAll();
  }

  void JournalAll() {
    while (!actions_.empty()) {
      Actions actions;
      actions.swap(actions_);
      for (const Action& action : actions) {
        if (const auto* append = std::get_if<AppendRecord>(&action))
          machine_.OnJournaled(append->record, now_us_, &actions_);
        if (const auto* find = std::get_if<FindPartitions>(&action))
          machine_.OnPartitions(find->job_id, FoundPartitions(), now_us_, &actions_);
        if (const auto* query = std::get_if<QueryEnds>(&action)) query_ = *query;
        if (const auto* ping = std::get_if<Send<PingRequest>>(&action))
          machine_.OnReply(*ping, PingReply(), now_us_, &actions_);
      }
    }
  }
  // The worker answers every call.
  void AnswerPings() {
    Actions others;
    Actions actions;
    actions.swap(actions_);
    for (Action& action : actions) {
      if (const auto* ping = std::get_if<Send<PingRequest>>(&action)) {
        machine_.OnReply(*ping, PingReply(), now_us_, &others);
      } else {
        others.push_back(std::move(action));
      }
    }
    for (Action& action : others) actions_.push_back(std::move(action));
  }

  static JobSubmitted Submitted(const std::string& id, const std::string& name) {
    JobSubmitted submitted;
    submitted.set_job_id(id);
    submitted.mutable_spec()->set_name(name);
    submitted.mutable_spec()->set_batch_interval_ms(1000);
    submitted.add_partitions()->set_topic("events");
    submitted.mutable_partitions(0)->set_start_offset(kStartOffset);
    return submitted;
  }
  void Submit(const std::string& id = "id", const std::string& name = "job") {
    ASSERT_TRUE(machine_.Submit(Submitted(id, name), &actions_).ok());
    JournalAll();
  }
  HeartbeatReply Beat(uint32_t max_jobs = 0, const std::vector<std::string>& job_ids = {}) {
    HeartbeatRequest request;
    request.mutable_job_ids()->Add(job_ids.begin(), job_ids.end());
    request.set_max_jobs(max_jobs);
    request.set_limit("its limit of 20 open files");
    request.set_worker_id("w");
    request.set_incarnation(7);
    request.set_address("host:1");
    const absl::StatusOr<HeartbeatReply> reply = machine_.OnHeartbeat(request, now_us_, &actions_);
    EXPECT_TRUE(reply.ok());
    AnswerPings();
    return reply.value_or(HeartbeatReply());
  }
  // The user has job "id" refolded.
  absl::Status Refold(const std::string& states_id) {
    JournalRecord change;
    change.mutable_refold_begun()->set_job_id("id");
    change.mutable_refold_begun()->set_states_id(states_id);
    *change.mutable_refold_begun()->mutable_spec() = Submitted("id", "job").spec();
    const absl::Status begun = machine_.Change(std::move(change), now_us_, &actions_);
    JournalAll();
    return begun;
  }
  // As the driver does: at each time that is due.
  void RunUntil(int64_t us) {
    while (machine_.NextTimeUs() <= us) {
      now_us_ = std::max(now_us_, machine_.NextTimeUs());
      machine_.OnTime(now_us_, &actions_);
      AnswerPings();
    }
    now_us_ = us;
  }
  bool IsLive() const { return machine_.view().workers.at("w").state == WORKER_LIVE; }

  ClusterMachine machine_{{.lease_ms = kLeaseMs}};
  Actions actions_;
  // The last one.
  QueryEnds query_;
  int64_t now_us_ = 100'000'000;
};

TEST_F(ClusterMachineTest, AWorkerSilentForItsLeaseIsLost) {
  Beat();
  RunUntil(now_us_ + kLeaseUs - 1);
  EXPECT_TRUE(IsLive());
  RunUntil(now_us_ + 1);
  EXPECT_FALSE(IsLive());
}

TEST_F(ClusterMachineTest, ADriverThatStoodStillLosesNoWorker) {
  Beat();
  RunUntil(now_us_ + 1'000'000);
  // Nothing was heard, as nobody listened.
  now_us_ += 60'000'000;
  machine_.OnTime(now_us_, &actions_);
  EXPECT_TRUE(IsLive());
  Beat();
  RunUntil(now_us_ + kLeaseUs - 1);
  EXPECT_TRUE(IsLive());
  RunUntil(now_us_ + 1);
  EXPECT_FALSE(IsLive()) << "a worker that is really gone is found out";
}

TEST_F(ClusterMachineTest, TheTimeStoodStillIsAllThatALeaseIsLongerBy) {
  Beat();
  RunUntil(now_us_ + 1'000'000);
  now_us_ += 60'000'000;
  machine_.OnTime(now_us_, &actions_);
  RunUntil(now_us_ + kLeaseUs);
  EXPECT_FALSE(IsLive());
}

TEST_F(ClusterMachineTest, ADriverThatHearsNobodyDoesNotStandStill) {
  RunUntil(now_us_ + kLeaseUs);
  EXPECT_EQ(machine_.view().awaiting_until_us, 0) << "known workers were awaited for a lease";
}

// The events that came meanwhile are there at once: none may be taken for what was seen all along.
TEST_F(ClusterMachineTest, APauseIsNotedBeforeAnyEvent) {
  Submit();
  Beat();
  JournalAll();
  const Ends truncated = {kStartOffset - 1};
  machine_.OnEnds(query_, truncated, now_us_, &actions_);
  RunUntil(now_us_ + 1'000'000);
  JournalAll();
  now_us_ += 60'000'000;
  machine_.OnEnds(query_, truncated, now_us_, &actions_);
  JournalAll();
  EXPECT_EQ(machine_.FindJob("job")->waiting().kind(), WAITING_PARTITION);
  EXPECT_EQ(machine_.FindJob("job")->state(), JOB_WAITING) << "it was seen truncated for a second";
}

TEST_F(ClusterMachineTest, ShowsOnlyTheLastOfManyCancelledJobs) {
  for (size_t i = 0; i <= kMaxCancelledShown; ++i) {
    Submit(absl::StrCat("id", i));
    ASSERT_TRUE(machine_.Cancel("job", &actions_).ok());
    JournalAll();
  }
  EXPECT_THAT(machine_.cancelled(), SizeIs(kMaxCancelledShown));
  EXPECT_EQ(machine_.cancelled().front().job_id(), absl::StrCat("id", kMaxCancelledShown));
  EXPECT_EQ(machine_.FindCancelled("id0"), nullptr);
}

TEST_F(ClusterMachineTest, ACancelledJobsTopIsNotKept) {
  Submit();
  JournalRecord record;
  record.mutable_batch_committed()->set_job_id("id");
  record.mutable_batch_committed()->set_batch(1);
  record.mutable_batch_committed()->add_top()->set_key("page1");
  machine_.OnJournaled(record, now_us_, &actions_);
  ASSERT_TRUE(machine_.Cancel("job", &actions_).ok());
  JournalAll();
  ASSERT_NE(machine_.FindCancelled("job"), nullptr);
  EXPECT_EQ(machine_.FindCancelled("job")->last_batch().batch(), 1u);
  EXPECT_EQ(machine_.FindCancelled("job")->last_batch().top_size(), 0);
}

TEST_F(ClusterMachineTest, ACancelledJobHasItsLastBatchAfterAStartToo) {
  ClusterMachine again({.lease_ms = kLeaseMs});
  JournalRecord record;
  record.mutable_job_submitted()->set_job_id("id");
  record.mutable_job_submitted()->mutable_spec()->set_name("job");
  again.Replay(record);
  record.mutable_job_cancelled()->set_job_id("id");
  again.Replay(record);
  record.mutable_batch_committed()->set_job_id("id");
  record.mutable_batch_committed()->set_batch(17);
  record.mutable_batch_committed()->set_records(170);
  record.mutable_batch_committed()->add_top()->set_key("page1");
  again.Replay(record);
  ASSERT_NE(again.FindCancelled("job"), nullptr);
  EXPECT_EQ(again.FindCancelled("job")->batch(), 17u);
  EXPECT_EQ(again.FindCancelled("job")->state(), JOB_CANCELLED);
  EXPECT_EQ(again.FindCancelled("job")->last_batch().records(), 170u);
  EXPECT_EQ(again.FindCancelled("job")->last_batch().top_size(), 0) << "of a hundred jobs that is much";
}

TEST_F(ClusterMachineTest, AJobThatNoWorkerHasRoomForIsRefused) {
  Beat(/*max_jobs=*/2);
  Submit("id1", "job1");
  Submit("id2", "job2");
  const absl::Status refused = machine_.Submit(Submitted("id3", "job3"), &actions_);
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("job job3 does not fit: worker w runs 2 jobs, as many as its limit of 20 open files allows"));
  ASSERT_TRUE(machine_.Cancel("job1", &actions_).ok());
  JournalAll();
  EXPECT_TRUE(machine_.Submit(Submitted("id3", "job3"), &actions_).ok());
}

TEST_F(ClusterMachineTest, TheStatesOfARefoldTakeAPlaceUntilItEnds) {
  Beat(/*max_jobs=*/2);
  Submit();
  ASSERT_TRUE(Refold("id.1").ok());
  EXPECT_EQ(machine_.Workers().workers(0).jobs(), 2u);
  EXPECT_TRUE(absl::IsResourceExhausted(machine_.Submit(Submitted("other", "other"), &actions_)));
  EXPECT_THAT(Beat(2, {"id", "id.1"}).dropped_job_ids(), SizeIs(0));
  JournalRecord update;
  update.mutable_job_updated()->set_job_id("id");
  *update.mutable_job_updated()->mutable_spec() = Submitted("id", "job").spec();
  ASSERT_TRUE(machine_.Change(std::move(update), now_us_, &actions_).ok());
  JournalAll();
  EXPECT_THAT(Beat(2, {"id", "id.1"}).dropped_job_ids(), testing::ElementsAre("id.1"));
  EXPECT_EQ(machine_.Workers().workers(0).jobs(), 1u);
  ASSERT_TRUE(machine_.Submit(Submitted("other", "other"), &actions_).ok());
  JournalAll();
  const absl::Status refused = Refold("id.2");
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("the states that a refold of job job builds do not fit: worker w"));
}

TEST_F(ClusterMachineTest, ACancelledJobsRefoldIsDroppedAndNotShown) {
  Beat();
  Submit();
  ASSERT_TRUE(Refold("id.1").ok());
  ASSERT_TRUE(machine_.Cancel("job", &actions_).ok());
  JournalAll();
  EXPECT_THAT(Beat(0, {"id", "id.1"}).dropped_job_ids(), SizeIs(2));
  EXPECT_THAT(Beat(0, {"id.2", "other.1"}).dropped_job_ids(), testing::ElementsAre("id.2"))
      << "another journal has begun it, and the job is over all the same";
  EXPECT_FALSE(machine_.FindCancelled("job")->has_refold());
}

TEST_F(ClusterMachineTest, AJobWhoseJournalLacksARefoldOfItIsAForkedOne) {
  Beat();
  Submit();
  Beat(0, {"id", "id.1"});
  JournalAll();
  EXPECT_EQ(machine_.FindJob("job")->state(), JOB_FAILED);
  EXPECT_THAT(machine_.FindJob("job")->job().failure,
              HasSubstr("worker w has states of a refold of the job, which the journal does not know: the driver runs on an "
                        "older copy of its journal"));
}

TEST_F(ClusterMachineTest, AJobForWhichTheDriverHasNoRoomIsRefused) {
  ClusterMachine small({.max_jobs = 1, .limit = "its limit of 64 open files"});
  small.Start("cluster", 1, now_us_, &actions_);
  const auto journal = [&] {
    for (const Action& action : std::exchange(actions_, {}))
      if (const auto* append = std::get_if<AppendRecord>(&action)) small.OnJournaled(append->record, now_us_, &actions_);
  };
  journal();
  journal();
  ASSERT_TRUE(small.Submit(Submitted("id1", "job1"), &actions_).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(small.Submit(Submitted("id2", "job2"), &actions_)));
  journal();
  const absl::Status refused = small.Submit(Submitted("id2", "job2"), &actions_);
  EXPECT_THAT(std::string(refused.message()),
              HasSubstr("job job2 does not fit: the driver has 1 jobs, as many as its limit of 64 open files allows"));
}

TEST_F(ClusterMachineTest, AJobThatWasThereBeforeItsWorkerHadNoRoomSaysSo) {
  Submit("id1", "job1");
  Submit("id2", "job2");
  Beat(/*max_jobs=*/1);
  JournalAll();
  EXPECT_EQ(machine_.Workers().workers(0).jobs(), 1u);
  RunUntil(now_us_ + 500'000);
  JournalAll();
  const Waiting& waiting = machine_.FindJob("job2")->waiting();
  EXPECT_EQ(waiting.kind(), WAITING_WORKERS);
  EXPECT_EQ(waiting.detail(), "runs 1 job, as many as its limit of 20 open files allows");
}

}  // namespace
}  // namespace tenfold
