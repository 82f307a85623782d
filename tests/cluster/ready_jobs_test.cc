// Every ready job, on events that `tenfold produce` makes for it, as the oracle has it.
#include "jobs/feed/ready_jobs.h"

#include <algorithm>
#include <string>

#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jobs/spec/job_spec.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

class ReadyJobsTest : public ::testing::TestWithParam<ReadyJob> {
 protected:
  void SetUp() override { ASSERT_OK(cluster_.Start(2)); }
  MiniCluster cluster_;
};

TEST_P(ReadyJobsTest, RanksTheEventsThatAreProducedForIt) {
  absl::StatusOr<std::string> topic = CreateTopic();
  ASSERT_OK(topic.status());
  const Job job = {.name = std::string(GetParam().name), .topics = {*topic}, .text = std::string(GetParam().spec)};
  ASSERT_OK(cluster_.Submit(job));
  JobSpec spec;
  ASSERT_THAT(ReadJobSpec(GetParam().spec, &spec), ::testing::IsEmpty());
  for (const char* seed : {"1", "2"}) {
    const CliResult produced = cluster_.RunCli({"produce", "--kafka", KafkaBrokers(), "--job", job.name, "--topic", *topic,
                                                "--rate", "0", "--count", "3000", "--seed", seed});
    ASSERT_EQ(produced.exit_code, 0) << produced.err;
    const absl::StatusOr<nlohmann::json> batch = cluster_.WaitCaughtUp(job.name);
    ASSERT_OK(batch.status());
    EXPECT_EQ(batch->at("bad_records"), 0);
    EXPECT_EQ(batch->at("top").size(), spec.top());
  }
  ASSERT_OK(cluster_.VerifyPublished(job.name));
}

std::string NameOf(const ::testing::TestParamInfo<ReadyJob>& job) {
  std::string name(job.param.name);
  std::ranges::replace(name, '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Jobs, ReadyJobsTest, ::testing::ValuesIn(ReadyJobs().begin(), ReadyJobs().end()), NameOf);

}  // namespace
}  // namespace tenfold
