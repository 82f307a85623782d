// More jobs than most clusters have, in processes that may open few files.
#include <sys/resource.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/process/process.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

constexpr int kPartitions = 6;

class ManyJobsTest : public ::testing::Test {
 protected:
  // Starts a driver and a worker that may have so many files open, and this process too.
  void Start(rlim_t files) {
    absl::StatusOr<std::string> topic = CreateTopic(kPartitions);
    ASSERT_OK(topic.status());
    job_.topics = {*topic};
    job_.interval = "1s";
    const rlimit few{.rlim_cur = files, .rlim_max = files};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    ASSERT_OK(cluster_.Start(1));
  }

  MiniCluster cluster_;
  Job job_;
};

TEST_F(ManyJobsTest, AHundredJobsOfSixPartitionsRunAmong4096OpenFiles) {
  constexpr int kJobs = 100;
  ASSERT_NO_FATAL_FAILURE(Start(4096));
  const auto name = [](int i) { return absl::StrCat("job", i); };
  for (int i = 0; i < kJobs; ++i) {
    job_.name = name(i);
    ASSERT_OK(cluster_.Submit(job_));
  }
  ASSERT_OK(ProduceSample(job_.topics[0], kPartitions, /*seed=*/1, 600));
  for (int i = 0; i < kJobs; ++i) ASSERT_OK(cluster_.WaitCaughtUp(name(i)).status());
  // The worker starts with all of them.
  ASSERT_OK(cluster_.worker(0).Kill());
  ASSERT_OK(cluster_.worker(0).Start());
  ASSERT_OK(ProduceSample(job_.topics[0], kPartitions, /*seed=*/2, 600));
  for (int i = 0; i < kJobs; ++i) ASSERT_OK(cluster_.WaitCaughtUp(name(i)).status());
  for (const int i : {0, kJobs - 1}) ASSERT_OK(cluster_.VerifyPublished(name(i)));
  ASSERT_OK(cluster_.worker(0).Stop());
  ASSERT_OK(cluster_.driver().Stop());
}

TEST_F(ManyJobsTest, AJobThatDoesNotFitIsRefusedByName) {
  ASSERT_NO_FATAL_FAILURE(Start(450));
  ASSERT_OK(cluster_.Submit(job_));
  ASSERT_OK(cluster_.WaitForBatches(job_.name, 1));
  job_.name = "other";
  const CliResult refused = cluster_.RunCli({"submit", cluster_.WriteFile("other.yaml", SpecText(job_))});
  EXPECT_EQ(refused.exit_code, kExitRefused);
  EXPECT_TRUE(absl::StrContains(refused.err, "job other does not fit: worker ")) << refused.err;
  EXPECT_TRUE(absl::StrContains(refused.err, "runs 1 job, as many as its limit of 450 open files allows")) << refused.err;
}

}  // namespace
}  // namespace tenfold
