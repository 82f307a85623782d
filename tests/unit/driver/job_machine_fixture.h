// Two workers, a with partition 0 and b with partition 1, and the driver's decisions about their job, step by step. What
// follows from any order of events is the simulator's to find out (tests/simulation).
#pragma once

#include <limits>
#include <utility>
#include <variant>
#include <vector>

#include "common/number/units.h"
#include "driver/core/job_machine.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {

inline constexpr uint32_t kIntervalMs = 1000;
inline constexpr int64_t kIntervalUs = 1000 * kIntervalMs;

inline JobSubmitted Submitted() {
  JobSubmitted submitted;
  submitted.set_job_id("id");
  submitted.mutable_spec()->set_name("job");
  submitted.mutable_spec()->mutable_source()->set_brokers("kafka:9092");
  submitted.mutable_spec()->mutable_registry()->set_url("http://registry:8081");
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
  explicit JobMachineTest(const ClusterOptions& options = {}) : cluster_(options) {
    cluster_.cluster_id = "cluster";
    cluster_.epoch = 3;
    for (const char* id : {"a", "b"}) {
      cluster_.workers[id].state = WORKER_LIVE;
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
  // The record is durable now.
  void Apply(JournalRecord record) {
    if (record.has_batch_committed()) record.mutable_batch_committed()->set_published_at_us(now_us_);
    job_.Apply(record, now_us_, &actions_);
  }

  // Kafka tells what it has of the topics, if it is asked.
  void AnswerSearch() {
    for (const FindPartitions& find : Take<FindPartitions>()) {
      EXPECT_EQ(find.job_id, "id");
      job_.OnPartitions(found_, now_us_, &actions_);
    }
  }
  // Kafka tells that and these ends, if it is asked.
  void AnswerEnds(const Ends& ends) {
    AnswerSearch();
    for (const QueryEnds& query : Take<QueryEnds>()) job_.OnEnds(query.query, ends, now_us_, &actions_);
  }
  // The user gives the job this spec in place of Submitted's; returns the record that is asked for.
  JournalRecord Update(const JobSpec& spec) {
    JournalRecord change;
    change.mutable_job_updated()->set_job_id("id");
    *change.mutable_job_updated()->mutable_spec() = spec;
    return Change(std::move(change));
  }
  // The user pauses the job, or has it go on. Returns the record that is asked for.
  JournalRecord SetPaused(bool paused) {
    JournalRecord change;
    (paused ? *change.mutable_job_paused()->mutable_job_id() : *change.mutable_job_resumed()->mutable_job_id()) = "id";
    return Change(std::move(change));
  }
  JournalRecord Change(JournalRecord change) {
    change.set_time_us(now_us_);
    job_.Change(std::move(change), now_us_, &actions_);
    return TakeRecord();
  }

  // Assigns the shards and plans, up to the Folds.
  std::vector<Send<FoldRequest>> RunToFold(std::vector<int64_t> ends) {
    job_.OnWorkersChanged(now_us_, &actions_);
    if (const JournalRecord assigned = TakeRecord(); assigned.has_shards_assigned()) Apply(assigned);
    now_us_ += kIntervalUs;
    job_.OnTime(now_us_, &actions_);
    AnswerEnds(Ends(ends.begin(), ends.end()));
    for (const Send<AssignRequest>& send : Take<Send<AssignRequest>>()) {
      job_.OnReply(send, AssignReply(), now_us_, &actions_);
    }
    return Take<Send<FoldRequest>>();
  }

  // Where the job has to fold. What is missing is made up, so that the test can end.
  std::vector<Send<FoldRequest>> RunToFolds(std::vector<int64_t> ends) {
    std::vector<Send<FoldRequest>> folds = RunToFold(std::move(ends));
    EXPECT_THAT(folds, testing::SizeIs(2));
    folds.resize(2);
    for (Send<FoldRequest>& fold : folds) {
      if (fold.request.targets().empty()) fold.request.add_targets();
    }
    return folds;
  }

  void Reply(const Send<FoldRequest>& send, const absl::StatusOr<FoldReply>& reply) {
    job_.OnReply(send, reply, now_us_, &actions_);
  }

  // Both workers have folded up to their targets; `a` and `b` are all the partials they have.
  JournalRecord FoldAll(const std::vector<Send<FoldRequest>>& folds, Units a, Units b) {
    for (const Send<FoldRequest>& send : folds) Reply(send, FoldedAs(send, send.worker == "a" ? a : b));
    return TakeRecord();
  }

  static FoldReply FoldedTo(const Send<FoldRequest>& send, int64_t next_offset, Units sum) {
    const uint32_t p = send.request.targets(0).partition();
    FoldReply reply;
    reply.add_composition()->set_partition(p);
    reply.mutable_composition(0)->set_next_offset(next_offset);
    ShardPosition* position = reply.add_shards();
    position->set_shard(p);
    *position->mutable_offsets() = reply.composition();
    reply.add_partitions()->set_partition(p);
    reply.mutable_partitions(0)->set_records(static_cast<uint64_t>(next_offset));
    Entry* entry = reply.mutable_highest()->add_entries();
    entry->set_key("page");
    *entry->mutable_sum() = ToProto(sum);
    return reply;
  }
  static FoldReply FoldedAs(const Send<FoldRequest>& send, Units sum) {
    return FoldedTo(send, send.request.targets(0).next_offset(), sum);
  }

  // Batch 1, of partition 0 up to 10 and partition 1 up to 20.
  void CommitFirst() {
    Apply(FoldAll(RunToFolds({10, 20}), 1, 1));
    Take<PublishBatch>();
  }

  // After batch 1 worker b is lost; returns what a is asked to prepare.
  std::vector<Send<PrepareRequest>> LoseB() {
    CommitFirst();
    cluster_.workers["b"].state = WORKER_LOST;
    RunToFold({10, 20});
    return Take<Send<PrepareRequest>>();
  }

  ClusterView cluster_;
  JobMachine job_{&cluster_, Submitted(), 0};
  Actions actions_;
  FoundPartitions found_{.added = {}, .begins = {0, 0}, .gone = {}, .compacted = ""};
  int64_t now_us_ = 100'000'000;
};

}  // namespace tenfold
