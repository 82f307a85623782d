// A job at a worker with a real store: what its shell does around the decisions of worker/job_core.h.
#include "worker/worker_job.h"

#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "worker/state_store.h"

namespace tenfold {
namespace {

namespace fs = std::filesystem;

class NoFolder : public RangeFolder {
 public:
  explicit NoFolder(int* number) : number_(number) { ++*number_; }
  ~NoFolder() override { --*number_; }
  FoldOutcome Fold(const std::vector<JobCore::ShardRange>&, const FoldOptions&) override { return {}; }

 private:
  int* const number_;
};

class WorkerJobTest : public ::testing::Test {
 protected:
  WorkerJobTest() {
    std::string name = ::testing::TempDir() + "/worker_job_XXXXXX";
    folder_ = mkdtemp(name.data());
    store_ = *StateStore::Open(folder_);
    WorkerJob::Options options;
    options.cluster_id = "cluster";
    options.job_id = "job";
    options.incarnation = 7;
    options.store = store_.get();
    options.make_folder = [this](const AssignRequest&) { return std::make_unique<NoFolder>(&folders_); };
    job_ = std::make_unique<WorkerJob>(options, std::vector<ShardState>());
  }
  ~WorkerJobTest() override {
    job_.reset();
    store_.reset();
    fs::remove_all(folder_);
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
    for (int32_t p = 0; p < 3; ++p) {
      request.add_partitions()->set_topic("events");
      request.mutable_partitions(p)->set_partition(p);
    }
    request.mutable_owned()->Add(owned.begin(), owned.end());
    return request;
  }

  std::string folder_;
  std::unique_ptr<StateStore> store_;
  std::unique_ptr<WorkerJob> job_;
  uint64_t number_ = 0;
  // There are now: each has connections to Kafka.
  int folders_ = 0;
};

TEST_F(WorkerJobTest, AShardDroppedByAnAssignThatFailsIsMadeAnewWhenItComesBack) {
  ASSERT_TRUE(job_->Assign(Assign({1})).ok());
  AssignRequest fails = Assign({0});
  fails.mutable_spec()->add_initial()->set_score("no number");
  EXPECT_FALSE(job_->Assign(fails).ok());
  EXPECT_FALSE(store_->Read({"job", 1}).ok()) << "by then shard 1 is dropped";
  const absl::StatusOr<AssignReply> back = job_->Assign(Assign({1}));
  EXPECT_TRUE(back.ok()) << back.status();
  EXPECT_TRUE(store_->Read({"job", 1}).ok());
}

TEST_F(WorkerJobTest, WithoutShardsItHoldsNoFolder) {
  AssignRequest both = Assign({0});
  both.add_prepared(1);
  ASSERT_TRUE(job_->Assign(both).ok());
  EXPECT_EQ(folders_, 2);
  ASSERT_TRUE(job_->Assign(Assign({})).ok());
  EXPECT_EQ(folders_, 0);
  ASSERT_TRUE(job_->Assign(Assign({2})).ok());
  EXPECT_EQ(folders_, 1);
}

}  // namespace
}  // namespace tenfold
