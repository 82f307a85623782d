// A job at a worker with a real store: what its shell does around the decisions of worker/core/job_core.h.
#include "worker/worker_job.h"

#include <stdlib.h>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "worker/store/state_store.h"

namespace tenfold {
namespace {

namespace fs = std::filesystem;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

// Folds one record a shard: what it is told to.
class OneRecordTask : public FoldTask {
 public:
  OneRecordTask(int* number, const std::vector<Delta>* deltas) : number_(number), deltas_(deltas) { ++*number_; }
  ~OneRecordTask() override { --*number_; }
  FoldOutcome Fold(const std::vector<JobCore::ShardRange>& ranges, const FoldOptions&) override {
    FoldOutcome outcome;
    for (const JobCore::ShardRange& range : ranges) {
      FoldOutcome::Shard& shard = outcome.shards.emplace_back(range.state, *deltas_);
      PartitionState* partition = shard.state.mutable_partitions(0);
      partition->set_next_offset(partition->next_offset() + 1);
    }
    return outcome;
  }

 private:
  int* const number_;
  const std::vector<Delta>* const deltas_;
};

class WorkerJobTest : public ::testing::Test {
 protected:
  WorkerJobTest() {
    std::string name = ::testing::TempDir() + "/worker_job_XXXXXX";
    directory_ = mkdtemp(name.data());
    store_ = *StateStore::Open(directory_);
    WorkerJob::Options options;
    options.cluster_id = "cluster";
    options.job_id = "job";
    options.incarnation = 7;
    options.store = store_.get();
    options.make_fold_task = [this](const AssignRequest&) { return std::make_unique<OneRecordTask>(&tasks_, &deltas_); };
    job_ = std::make_unique<WorkerJob>(std::move(options), std::vector<ShardState>());
  }
  ~WorkerJobTest() override {
    job_.reset();
    store_.reset();
    fs::remove_all(directory_);
  }

  // The next assignment, of a job with a partition in each of the first shards.
  AssignRequest Assign(const std::vector<uint32_t>& owned) {
    AssignRequest request;
    request.mutable_id()->set_cluster_id("cluster");
    request.mutable_id()->set_job_id("job");
    request.mutable_id()->set_epoch(1);
    request.mutable_id()->set_attempt(++number_);
    request.mutable_id()->set_assignment(number_);
    request.mutable_id()->set_incarnation(7);
    id_ = request.id();
    for (int32_t p = 0; p < 3; ++p) {
      request.add_partitions()->set_topic("events");
      request.mutable_partitions(p)->set_partition(p);
    }
    request.mutable_owned()->Add(owned.begin(), owned.end());
    return request;
  }

  // Folds the deltas into shard 0, all that is owned; the driver has all at or above 10 from the reply before, if any.
  FoldReply Fold(std::vector<Delta> deltas, const FoldReply* before) {
    const absl::StatusOr<FoldReply> reply = TryFold(std::move(deltas), before);
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.value_or(FoldReply());
  }
  absl::StatusOr<FoldReply> TryFold(std::vector<Delta> deltas, const FoldReply* before) {
    deltas_ = std::move(deltas);
    FoldRequest request;
    *request.mutable_id() = id_;
    request.mutable_id()->set_attempt(++number_);
    request.add_targets()->set_next_offset(1000);
    WantHighest wanted;
    wanted.set_depth(100);
    if (before == nullptr) {
      *request.mutable_highest() = wanted;
    } else {
      *request.mutable_updates()->mutable_otherwise() = wanted;
      *request.mutable_updates()->mutable_since() = before->composition();
      *request.mutable_updates()->mutable_at_or_above() = ToProto(Units{10});
    }
    return job_->Handle(request);
  }
  static std::map<std::string, int> Sums(const FoldReply& reply) {
    std::map<std::string, int> sums;
    for (const Entry& entry : reply.has_updates() ? reply.updates().entries() : reply.highest().entries())
      sums.emplace(entry.key(), static_cast<int>(FromProto(entry.sum())));
    return sums;
  }

  std::string directory_;
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<WorkerJob> job_;
  uint64_t number_ = 0;
  RequestId id_;
  std::vector<Delta> deltas_;
  // There are now: each has connections to Kafka.
  int tasks_ = 0;
};

TEST_F(WorkerJobTest, AShardDroppedByAnAssignThatFailsIsMadeAnewWhenItComesBack) {
  ASSERT_TRUE(job_->Handle(Assign({1})).ok());
  AssignRequest fails = Assign({0});
  fails.mutable_spec()->mutable_fold()->add_initial()->set_score("no number");
  EXPECT_FALSE(job_->Handle(fails).ok());
  EXPECT_FALSE(store_->Read({"job", 1}).ok()) << "by then shard 1 is dropped";
  const absl::StatusOr<AssignReply> back = job_->Handle(Assign({1}));
  EXPECT_TRUE(back.ok()) << back.status();
  EXPECT_TRUE(store_->Read({"job", 1}).ok());
}

TEST_F(WorkerJobTest, WithoutShardsItHoldsNoFoldTask) {
  AssignRequest both = Assign({0});
  both.add_prepared(1);
  ASSERT_TRUE(job_->Handle(both).ok());
  EXPECT_EQ(tasks_, 2);
  ASSERT_TRUE(job_->Handle(Assign({})).ok());
  EXPECT_EQ(tasks_, 0);
  ASSERT_TRUE(job_->Handle(Assign({2})).ok());
  EXPECT_EQ(tasks_, 1);
}

TEST_F(WorkerJobTest, AnswersWithTheEntriesThatChangedWhereTheDriverKnowsTheOthers) {
  ASSERT_TRUE(job_->Handle(Assign({0})).ok());
  const FoldReply all = Fold({{.key = "low", .count = 1, .sum = 4},
                              {.key = "same", .count = 1, .sum = 20},
                              {.key = "falls", .count = 1, .sum = 30},
                              {.key = "rises", .count = 1, .sum = 9},
                              {.key = "high", .count = 1, .sum = 40}},
                             nullptr);
  EXPECT_TRUE(all.has_highest());
  EXPECT_THAT(Sums(all), SizeIs(5));
  // Twice, as the driver may have lost the reply.
  for (int lost = 0; lost < 2; ++lost) {
    const FoldReply changed = Fold({{.key = "low", .count = 1, .sum = 1},
                                    {.key = "falls", .count = 1, .sum = -15},
                                    {.key = "rises", .count = 1, .sum = 1},
                                    {.key = "high", .count = 1, .sum = 2},
                                    {.key = "new", .count = 1, .sum = 6}},
                                   &all);
    EXPECT_TRUE(changed.has_updates());
    if (lost == 0) {
      EXPECT_THAT(Sums(changed), UnorderedElementsAre(Pair("falls", 15), Pair("rises", 10), Pair("high", 42)));
    } else {
      EXPECT_THAT(Sums(changed),
                  UnorderedElementsAre(Pair("falls", 0), Pair("rises", 11), Pair("high", 44), Pair("new", 12)));
    }
  }
}

TEST_F(WorkerJobTest, AnswersWithAllEntriesWhereItDoesNotKnowTheCompositionQuoted) {
  ASSERT_TRUE(job_->Handle(Assign({0})).ok());
  const FoldReply all = Fold({{.key = "key", .count = 1, .sum = 4}}, nullptr);
  Fold({{.key = "key", .count = 1, .sum = 4}}, nullptr);
  const FoldReply reply = Fold({{.key = "other", .count = 1, .sum = 4}}, &all);
  EXPECT_TRUE(reply.has_highest());
  EXPECT_THAT(Sums(reply), UnorderedElementsAre(Pair("key", 8), Pair("other", 4)));
}

// They are added to the sums while they are persisted.
class ManyKeysTest : public WorkerJobTest {
 protected:
  static constexpr size_t kKeys = 20'000;

  ManyKeysTest() {
    for (size_t i = 0; i < kKeys; ++i) names_.push_back(absl::StrCat("page", i));
    EXPECT_TRUE(job_->Handle(Assign({0})).ok());
  }
  // A delta of one record with this sum for each key.
  std::vector<Delta> Deltas(Units sum) const {
    std::vector<Delta> deltas;
    for (const std::string& name : names_) deltas.push_back({.key = name, .count = 1, .sum = sum});
    return deltas;
  }

 private:
  std::vector<std::string> names_;
};

TEST_F(ManyKeysTest, AreInTheSumsAndInTheStore) {
  Fold(Deltas(3), nullptr);
  const FoldReply reply = Fold(Deltas(4), nullptr);
  EXPECT_EQ(reply.keys(), kKeys);
  EXPECT_EQ(reply.changed_keys(), kKeys);
  EXPECT_EQ(FromProto(reply.highest().entries(0).sum()), 7);
  uint64_t rows = 0;
  const auto scanned = store_->Scan({"job", 0}, [&](const Delta& row) {
    rows += row.count == 2 && row.sum == 7 ? 1 : 0;
    return true;
  });
  EXPECT_TRUE(scanned.ok()) << scanned.status();
  EXPECT_EQ(rows, kKeys);
}

TEST_F(ManyKeysTest, LeaveNoSumsBehindIfTheyCannotBePersisted) {
  Fold(Deltas(3), nullptr);
  const ShardKey shard{"job", 0};
  ASSERT_TRUE(store_->Drop({&shard, 1}).ok());
  EXPECT_FALSE(TryFold(Deltas(4), nullptr).ok());
  const absl::StatusOr<FoldReply> next = TryFold({}, nullptr);
  EXPECT_FALSE(next.ok()) << next->keys() << " keys";
}

}  // namespace
}  // namespace tenfold
