#include "worker/fold/kafka_fold_task.h"

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/number/digest.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jobs/oracle/oracle.h"

namespace tenfold {
namespace {

constexpr char kTopic[] = "events";
constexpr int kPartitions = 3;
// More than a poll brings.
constexpr int kEvents = 25'000;
constexpr absl::Duration kTimeout = absl::Seconds(20);

JobSpec Spec() {
  JobSpec spec;
  spec.mutable_fold()->mutable_format()->set_separator("|");
  for (const char* field : {"page", "clicks"}) spec.mutable_fold()->mutable_format()->add_fields(field);
  spec.mutable_fold()->set_key("page");
  ScoreTerm* const term = spec.mutable_fold()->add_score();
  term->set_constant("0.8");
  term->set_field("clicks");
  return spec;
}

// Every twentieth is bad.
std::string Event(int i) { return i % 20 == 0 ? "bad" : absl::StrCat("page", i % 1000, "|", i % 7); }

class KafkaFoldTaskTest : public testing::Test {
 protected:
  void SetUp() override {
    broker_ = EmbeddedBroker::Start(kTopic, kPartitions).value();
    writer_ = LogWriter::Create({.brokers = broker_->brokers(), .properties = {}}, {}).value();
    task_ = MakeTask();
  }

  // As many threads as cores, and half: a shard is alone with its thread, or shares it.
  std::unique_ptr<KafkaFoldTask> MakeTask() {
    return KafkaFoldTask::Create(Spec(), {.brokers = broker_->brokers(), .properties = {}}, 1, &slots_).value();
  }

  // Appends events to partitions 0 to 2.
  void Write() {
    for (int p = 0; p < kPartitions; ++p) {
      for (int i = 0; i < kEvents; ++i) ASSERT_TRUE(writer_->Append(kTopic, p, Event(i)).ok());
    }
    ASSERT_TRUE(writer_->Flush(kTimeout).ok());
    written_ += kEvents;
  }

  // A shard of one partition, at its beginning.
  static JobCore::ShardRange Shard(int32_t partition, int64_t end) {
    JobCore::ShardRange range;
    StateId* const id = range.state.mutable_id();
    id->set_shard(static_cast<uint32_t>(partition));
    id->add_partitions()->set_topic(kTopic);
    id->mutable_partitions(0)->set_partition(partition);
    PartitionState* const state = range.state.add_partitions();
    state->set_partition(static_cast<uint32_t>(partition));
    state->set_last_offset(-1);
    range.ends = {end};
    return range;
  }
  static std::vector<JobCore::ShardRange> Shards(int64_t end) { return {Shard(0, end), Shard(1, end), Shard(2, end)}; }

  // The ranges as they go on after a fold.
  static std::vector<JobCore::ShardRange> After(const FoldOutcome& outcome, int64_t end) {
    std::vector<JobCore::ShardRange> ranges;
    for (const FoldOutcome::Shard& shard : outcome.shards) ranges.push_back({shard.state, {end}});
    // As a job gives them, so that each stays with its thread.
    std::ranges::sort(ranges, {}, [](const JobCore::ShardRange& range) { return range.state.id().shard(); });
    return ranges;
  }

  static int64_t Sum(const FoldOutcome& outcome) {
    int64_t sum = 0;
    for (const FoldOutcome::Shard& shard : outcome.shards) sum += shard.state.partitions(0).next_offset();
    return sum;
  }

  static FoldOptions Within(absl::Duration budget, bool exact = false) {
    return {.budget = budget, .memory = {}, .exact = exact, .stop = [] { return false; }};
  }

  // Reads nothing itself.
  static FoldOptions Stopped() {
    return {.budget = kTimeout, .memory = {}, .exact = false, .stop = [] { return true; }};
  }

  // Every state is what the log says it is at its offset, and so are the counts.
  void ExpectExact(const FoldOutcome& outcome) const {
    for (const FoldOutcome::Shard& shard : outcome.shards) {
      const PartitionState& partition = shard.state.partitions(0);
      Oracle oracle(Spec(), 1);
      for (int64_t offset = 0; offset < partition.next_offset(); ++offset) {
        oracle.Add(0, Event(static_cast<int>(offset % kEvents)));
      }
      const Oracle::Result exact = oracle.Compute();
      EXPECT_EQ(FromProto(shard.state.digest()), FromProto(exact.digests[0])) << shard.state.ShortDebugString();
      EXPECT_EQ(partition.records(), exact.records);
      EXPECT_EQ(partition.bad_size() == 0 ? 0 : partition.bad(0).count(), exact.bad_records);
    }
  }

  // Folds that read nothing, after `outcome`, until something was folded ahead, or all is.
  FoldOutcome FoldWhatIsAhead(FoldOutcome outcome) {
    const int64_t before = Sum(outcome);
    const absl::Time deadline = absl::Now() + kTimeout;
    for (absl::Duration pause = absl::Milliseconds(1); Sum(outcome) == before && absl::Now() < deadline; pause *= 2) {
      // A fold that is asked for ends what goes on ahead.
      absl::SleepFor(pause);
      outcome = task_->Fold(After(outcome, written_), Stopped());
      EXPECT_EQ(outcome.failure, std::nullopt);
    }
    EXPECT_GT(Sum(outcome), before) << "nothing was folded ahead";
    return outcome;
  }

  ReaderSlots slots_{2};
  std::unique_ptr<EmbeddedBroker> broker_;
  std::unique_ptr<LogWriter> writer_;
  std::unique_ptr<KafkaFoldTask> task_;
  int64_t written_ = 0;
};

TEST_F(KafkaFoldTaskTest, FoldsToTheEnds) {
  Write();
  const FoldOutcome outcome = task_->Fold(Shards(written_), Within(kTimeout));
  EXPECT_EQ(outcome.failure, std::nullopt);
  EXPECT_EQ(Sum(outcome), 3 * written_);
  ExpectExact(outcome);
}

TEST_F(KafkaFoldTaskTest, ExactEndsAreNotPassed) {
  Write();
  FoldOutcome outcome = task_->Fold(Shards(1'003), Within(kTimeout, /*exact=*/true));
  EXPECT_EQ(Sum(outcome), 3 * 1'003);
  ExpectExact(outcome);
  outcome = task_->Fold(After(outcome, 1'004), Within(kTimeout, /*exact=*/true));
  EXPECT_EQ(Sum(outcome), 3 * 1'004);
  ExpectExact(outcome);
}

// What a fold brings that reads nothing was folded before it was asked for.
TEST_F(KafkaFoldTaskTest, FoldsAheadWhatAFoldLeaves) {
  Write();
  FoldOutcome outcome = task_->Fold(Shards(written_), Stopped());
  EXPECT_EQ(Sum(outcome), 0);
  outcome = FoldWhatIsAhead(std::move(outcome));
  ExpectExact(outcome);
  outcome = task_->Fold(After(outcome, written_), Within(kTimeout));
  EXPECT_EQ(Sum(outcome), 3 * written_);
  ExpectExact(outcome);
}

// They are read while more is folded ahead.
TEST_F(KafkaFoldTaskTest, DeltasOfAllFoldsMakeTheWhole) {
  Write();
  std::map<std::string, std::pair<uint64_t, Units>> whole;
  FoldOutcome outcome = task_->Fold(Shards(written_), Stopped());
  while (Sum(outcome) < 3 * written_) {
    outcome = FoldWhatIsAhead(std::move(outcome));
    ASSERT_FALSE(HasFailure());
    for (const FoldOutcome::Shard& shard : outcome.shards) {
      for (const Delta& delta : shard.deltas) {
        auto& [count, sum] = whole[std::string(delta.key)];
        count += delta.count;
        sum += delta.sum;
      }
    }
  }
  std::map<std::string, std::pair<uint64_t, Units>> exact;
  for (int i = 0; i < kEvents; ++i) {
    if (i % 20 == 0) continue;
    auto& [count, sum] = exact[absl::StrCat("page", i % 1000)];
    count += 3;
    sum += Units{3} * (i % 7) * 800'000'000;
  }
  EXPECT_EQ(whole, exact);
}

TEST_F(KafkaFoldTaskTest, WhatWasFoldedAheadIsThrownAwayIfTheNextFoldBeginsElsewhere) {
  Write();
  task_->Fold(Shards(written_), Stopped());
  FoldOutcome first = task_->Fold(Shards(2'000), Within(kTimeout, /*exact=*/true));
  EXPECT_EQ(Sum(first), 3 * 2'000);
  ExpectExact(first);
  // Behind the last fold, as after an attempt whose state was lost.
  const FoldOutcome again = task_->Fold(Shards(written_), Within(kTimeout));
  EXPECT_EQ(Sum(again), 3 * written_);
  ExpectExact(again);
}

// What is folded ahead is of the states that the last fold left. Longer and longer pauses see to it that there is something.
TEST_F(KafkaFoldTaskTest, WhatWasFoldedAheadIsNotTakenForOtherStates) {
  Write();
  const FoldOutcome elsewhere = task_->Fold(Shards(1'000), Within(kTimeout, /*exact=*/true));
  const std::vector<JobCore::ShardRange> from = After(elsewhere, written_);
  for (absl::Duration pause = absl::Milliseconds(1); pause < absl::Seconds(2); pause *= 2) {
    task_->Fold(Shards(written_), Stopped());
    absl::SleepFor(pause);
    const FoldOutcome outcome = task_->Fold(from, Stopped());
    EXPECT_EQ(Sum(outcome), 3 * 1'000) << "it was to read nothing, after " << pause;
    for (const FoldOutcome::Shard& shard : outcome.shards) EXPECT_TRUE(shard.deltas.empty()) << "after " << pause;
  }
}

TEST_F(KafkaFoldTaskTest, WhatWasFoldedAheadIsNotTakenForAnExactFold) {
  Write();
  for (absl::Duration pause = absl::Milliseconds(1); pause < absl::Seconds(2); pause *= 2) {
    const FoldOutcome stopped = task_->Fold(Shards(written_), Stopped());
    absl::SleepFor(pause);
    const FoldOutcome outcome = task_->Fold(After(stopped, 10), Within(kTimeout, /*exact=*/true));
    EXPECT_EQ(Sum(outcome), 3 * 10) << "after " << pause;
    ExpectExact(outcome);
  }
}

TEST_F(KafkaFoldTaskTest, ANewTaskComparesTheRecordThatWasFoldedLast) {
  Write();
  const FoldOutcome folded = task_->Fold(Shards(100), Within(kTimeout, /*exact=*/true));
  std::vector<JobCore::ShardRange> ranges = After(folded, written_);
  const auto begin_anew = [&] {
    task_ = MakeTask();
    return task_->Fold(ranges, Within(kTimeout));
  };
  EXPECT_EQ(begin_anew().failure, std::nullopt);
  PartitionState* const other = ranges[1].state.mutable_partitions(0);
  other->set_last_hash(other->last_hash() + 1);
  const FoldOutcome outcome = begin_anew();
  ASSERT_TRUE(outcome.failure.has_value());
  EXPECT_THAT(*outcome.failure, ::testing::HasSubstr("events[1]"));
}

TEST_F(KafkaFoldTaskTest, FoldsOnAfterShardsCameAndWent) {
  Write();
  FoldOutcome outcome = task_->Fold(Shards(written_), Stopped());
  outcome = FoldWhatIsAhead(std::move(outcome));
  std::vector<JobCore::ShardRange> ranges = After(outcome, written_);
  const JobCore::ShardRange left = ranges[1];
  ranges.erase(ranges.begin() + 1);
  outcome = task_->Fold(ranges, Within(kTimeout));
  ExpectExact(outcome);
  ranges = After(outcome, written_);
  ranges.push_back(left);
  outcome = task_->Fold(ranges, Within(kTimeout));
  EXPECT_EQ(Sum(outcome), 3 * written_);
  ExpectExact(outcome);
}

// The embedded broker keeps 5 MiB a partition.
TEST_F(KafkaFoldTaskTest, AnOffsetThatTheLogNoLongerHasStopsTheJob) {
  // Nothing that can be compressed.
  std::mt19937 random(1);
  std::string large(100'000, '\0');
  for (int i = 0; i < 100; ++i) {
    for (char& c : large) c = static_cast<char>(random());
    ASSERT_TRUE(writer_->Append(kTopic, 0, large).ok());
  }
  ASSERT_TRUE(writer_->Flush(kTimeout).ok());
  const FoldOutcome outcome = task_->Fold({Shard(0, 100)}, Within(kTimeout));
  ASSERT_TRUE(outcome.failure.has_value());
  EXPECT_THAT(*outcome.failure, ::testing::HasSubstr("events[0] no longer has offset 0"));
}

TEST_F(KafkaFoldTaskTest, APartitionThatGivesNothingHoldsUpNoOther) {
  Write();
  // On the thread of partition 0.
  std::vector<JobCore::ShardRange> ranges = {Shard(0, written_), Shard(1, written_), Shard(kPartitions, 5)};
  FoldOutcome outcome = task_->Fold(ranges, Within(kTimeout));
  EXPECT_EQ(Sum(outcome), 2 * written_);
  EXPECT_THAT(outcome.waiting_for, testing::HasSubstr("events"));
  Write();
  outcome = task_->Fold(After(outcome, written_), Within(kTimeout));
  EXPECT_EQ(Sum(outcome), 2 * written_);
  outcome.shards.pop_back();
  ExpectExact(outcome);
}

}  // namespace
}  // namespace tenfold
