// Kafka's brokers die and come back under a running job: it waits where it must, goes on when it can, and loses nothing.
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/process/process.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

constexpr int kEventsPerSecond = 1000;

class BrokersTest : public ::testing::Test {
 protected:
  // A job under load over this many brokers that has published some batches.
  void RunUnderLoad(int brokers) {
    kafka_ = std::make_unique<OwnKafka>(brokers);
    absl::StatusOr<std::string> topic = CreateTopic(3, brokers);
    ASSERT_OK(topic.status());
    job_.topics = {*topic};
    cluster_ = std::make_unique<MiniCluster>();
    ASSERT_OK(cluster_->Start(2));
    load_ = std::make_unique<Load>(*topic, 3, kEventsPerSecond);
    ASSERT_OK(cluster_->Submit(job_));
    ASSERT_OK(cluster_->WaitForBatches(job_.name, 3));
  }

  // Ended in this order's reverse.
  std::unique_ptr<OwnKafka> kafka_;
  std::unique_ptr<MiniCluster> cluster_;
  Job job_;
  std::unique_ptr<Load> load_;
};

TEST_F(BrokersTest, OneOfThreeIsKilledAndComesBackThenAnother) {
  ASSERT_NO_FATAL_FAILURE(RunUnderLoad(3));
  // Each leads a partition, and the second death needs what the first one has caught up on.
  for (int broker : {1, 2}) {
    SCOPED_TRACE(absl::StrCat("broker ", broker));
    ASSERT_OK(kafka_->Kill(broker));
    ASSERT_OK(cluster_->WaitForMoreBatches(job_.name, 3));
    // All partitions, those of the dead one too.
    ASSERT_OK(cluster_->VerifyPublished(job_.name));
    kafka_->Start(broker);
  }
  ASSERT_OK(cluster_->WaitForMoreBatches(job_.name, 3));
  ASSERT_OK(load_->Stop());
  ASSERT_OK(cluster_->VerifyPublished(job_.name));
}

TEST_F(BrokersTest, BatchesWaitForTheOnlyOneAndStatusNamesIt) {
  ASSERT_NO_FATAL_FAILURE(RunUnderLoad(1));
  ASSERT_OK(kafka_->Kill(1));
  ASSERT_OK(cluster_->WaitForState(job_.name, "waiting"));
  const std::string kafka = absl::StrCat("is waiting: Kafka at ", kafka_->brokers());
  std::string summary;
  const absl::Status said = WaitUntil("status to say so", absl::Seconds(20), [&] {
    absl::StatusOr<nlohmann::json> status = cluster_->JobStatus(job_.name);
    if (status.ok()) summary = status->value("summary", "");
    return absl::StrContains(summary, kafka);
  });
  EXPECT_TRUE(said.ok()) << said << "; it says: " << summary;

  const size_t published = cluster_->Published(job_.name).size();
  const CliResult top = cluster_->RunCli({"top", job_.name, "--caught-up", "--timeout", "2s", "-o", "json"});
  EXPECT_EQ(top.exit_code, kExitUnavailable);
  EXPECT_EQ(top.out, "");
  EXPECT_TRUE(absl::StrContains(top.err, kafka_->brokers())) << top.err;
  EXPECT_EQ(cluster_->Published(job_.name).size(), published);

  kafka_->Start(1);
  ASSERT_OK(cluster_->WaitForMoreBatches(job_.name, 3));
  ASSERT_OK(load_->Stop());
  ASSERT_OK(cluster_->VerifyPublished(job_.name));
  ASSERT_OK(cluster_->WaitForState(job_.name, "running"));
}

}  // namespace
}  // namespace tenfold
