// The main job on sound processes: the published stream is the oracle's, whatever the workers, jobs and partitions are.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/kafka/log.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

using nlohmann::json;

class MainJobTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<std::string> topic = CreateTopic();
    ASSERT_OK(topic.status());
    job_.topics = {*topic};
  }

  const std::string& topic() const { return job_.topics[0]; }

  MiniCluster cluster_;
  Job job_;
};

// What must not depend on how a cluster cut the log into batches, and the sums among workers.
json ResultOf(json batch) {
  for (const char* own : {"batch", "batch_records", "job_id", "published_at", "proof"}) batch.erase(own);
  return batch;
}

// Also run under ThreadSanitizer (tests/CMakeLists.txt).
TEST_F(MainJobTest, TwoWorkersFollowTheLog) {
  ASSERT_OK(cluster_.Start(2));
  ASSERT_OK(cluster_.Submit(job_));
  Load load(topic(), 3, 500);
  ASSERT_OK(cluster_.WaitForBatches(job_.name, 10));
  ASSERT_OK(load.Stop());
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
}

TEST_F(MainJobTest, OneTwoAndFourWorkersAgreeBitForBit) {
  MiniCluster two, four;
  const std::vector<MiniCluster*> clusters = {&cluster_, &two, &four};
  const std::vector<int> workers = {1, 2, 4};
  for (size_t i = 0; i < clusters.size(); ++i) {
    ASSERT_OK(clusters[i]->Start(workers[i]));
    ASSERT_OK(clusters[i]->Submit(job_));
  }
  for (uint64_t step = 1; step <= 4; ++step) {
    SCOPED_TRACE(absl::StrCat("step ", step));
    ASSERT_OK(ProduceSample(topic(), 3, step, 3000));
    std::vector<json> results;
    for (MiniCluster* cluster : clusters) {
      absl::StatusOr<json> batch = cluster->WaitCaughtUp(job_.name);
      ASSERT_OK(batch.status());
      results.push_back(ResultOf(*batch));
    }
    EXPECT_EQ(results[0].at("records"), 3000 * step);
    EXPECT_EQ(results[0], results[1]);
    EXPECT_EQ(results[0], results[2]);
  }
  for (MiniCluster* cluster : clusters) ASSERT_OK(cluster->VerifyPublished(job_.name));
}

TEST_F(MainJobTest, StatusSaysWhatReadsWhichLog) {
  ASSERT_OK(cluster_.Start(1));
  ASSERT_OK(ProduceSample(topic(), 3, 1, 300));
  ASSERT_OK(cluster_.Submit(job_));
  ASSERT_OK(cluster_.WaitCaughtUp(job_.name).status());
  absl::StatusOr<json> status = cluster_.JobStatus(job_.name);
  ASSERT_OK(status.status());
  ASSERT_EQ(status->at("readers").size(), 1u) << *status;
  const bool wire = !ReadsWithLibrdkafka();
  EXPECT_EQ(status->at("readers")[0].at("reader"), wire ? "wire" : "librdkafka");
  EXPECT_EQ(status->at("readers")[0].at("reason"), wire ? "" : "it is told to with --reader librdkafka");
  for (const json& partition : status->at("partitions")) {
    EXPECT_EQ(partition.at("topic_id").get<std::string>().size(), wire ? 22u : 0u) << partition;
    EXPECT_EQ(partition.at("leader_epoch").is_number(), wire) << partition;
  }
  const CliResult shown = cluster_.RunCli({"status", job_.name});
  EXPECT_TRUE(absl::StrContains(shown.out, wire ? "wire\n" : "librdkafka, since it is told to")) << shown.out;
}

TEST_F(MainJobTest, LagToolsSeeHowFarTheJobIs) {
  ASSERT_OK(cluster_.Start(1));
  ASSERT_OK(ProduceSample(topic(), 3, 1, 300));
  ASSERT_OK(cluster_.Submit(job_));
  ASSERT_OK(cluster_.WaitCaughtUp(job_.name).status());
  ASSERT_OK(ProduceSample(topic(), 3, 2, 300));
  ASSERT_OK(cluster_.WaitCaughtUp(job_.name).status());
  // Committed within a second or so of the batch.
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  std::vector<std::string> offsets;
  do {
    offsets.clear();
    for (auto& row : DescribeGroup("tenfold-" + job_.name)) {
      // Other tests' jobs have the same name.
      if (row["TOPIC"] != topic()) continue;
      offsets.push_back(absl::StrCat(row["TOPIC"], "[", row["PARTITION"], "] ", row["CURRENT-OFFSET"], " lag ", row["LAG"]));
    }
    std::sort(offsets.begin(), offsets.end());
  } while ((offsets.empty() || !offsets[0].ends_with("200 lag 0")) && absl::Now() < deadline);
  const std::vector<std::string> expected = {topic() + "[0] 200 lag 0", topic() + "[1] 200 lag 0",
                                             topic() + "[2] 200 lag 0"};
  EXPECT_EQ(offsets, expected);
}

TEST_F(MainJobTest, FirstBatchComesWithoutRecords) {
  ASSERT_OK(cluster_.Start(1));
  ASSERT_OK(cluster_.Submit(job_));
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
  const json batch = json::parse(cluster_.Published(job_.name).at(0));
  EXPECT_EQ(batch.at("top"),
            json::parse(R"([{"rank":1,"key":"page1","score":"0"},{"rank":2,"key":"quiet-page","score":"-1.5"}])"));
}

TEST_F(MainJobTest, BacklogIsFoldedFromTheTopicsStart) {
  ASSERT_OK(ProduceSample(topic(), 3, 1, 30000));
  ASSERT_OK(cluster_.Start(2));
  ASSERT_OK(cluster_.Submit(job_));
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
  EXPECT_EQ(json::parse(cluster_.Published(job_.name).back()).at("records"), 30000);
}

TEST_F(MainJobTest, JobWaitsForItsFirstWorker) {
  ASSERT_OK(cluster_.Start(0));
  ASSERT_OK(cluster_.Submit(job_));
  ASSERT_OK(cluster_.WaitForState(job_.name, "waiting"));
  ASSERT_OK(cluster_.worker(0).Start());
  ASSERT_OK(cluster_.WaitForState(job_.name, "running"));
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
}

TEST_F(MainJobTest, JoiningWorkerTakesShardsUnderLoad) {
  ASSERT_OK(cluster_.Start(1));
  ASSERT_OK(cluster_.Submit(job_));
  Load load(topic(), 3, 500);
  ASSERT_OK(cluster_.WaitForBatches(job_.name, 3));
  ASSERT_OK(cluster_.worker(1).Start());
  ASSERT_OK(WaitUntil("both workers to own shards", absl::Seconds(60), [&] {
    const json workers = json::parse(cluster_.RunCli({"workers", "-o", "json"}).out, nullptr, false);
    return workers.is_array() && workers.size() == 2 && workers[0].value("shards", 0) > 0 &&
           workers[1].value("shards", 0) > 0;
  }));
  ASSERT_OK(cluster_.WaitForMoreBatches(job_.name, 3));
  ASSERT_OK(load.Stop());
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
}

TEST_F(MainJobTest, AbortedTransactionsLeaveNoTrace) {
  absl::StatusOr<std::unique_ptr<LogWriter>> writer =
      LogWriter::Create({.brokers = KafkaBrokers(), .properties = {}}, {.transactional_id = UniqueName("producer")});
  ASSERT_OK(writer.status());
  ASSERT_OK(cluster_.Start(2));
  ASSERT_OK(cluster_.Submit(job_));
  for (int transaction = 0; transaction < 10; ++transaction) {
    const bool aborted = transaction % 2 == 1;
    ASSERT_OK((*writer)->BeginTransaction());
    for (int i = 0; i < 60; ++i) {
      const std::string event = aborted ? "aborted|1000|1000|1" : absl::StrCat("page", i % 7, "|1|0.5|1");
      ASSERT_OK((*writer)->Append(topic(), i % 3, event));
    }
    ASSERT_OK((*writer)->Flush(absl::Seconds(30)));
    ASSERT_OK(aborted ? (*writer)->AbortTransaction(absl::Seconds(30)) : (*writer)->CommitTransaction(absl::Seconds(30)));
    ASSERT_OK(cluster_.WaitCaughtUp(job_.name).status());
  }
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
  EXPECT_EQ(json::parse(cluster_.Published(job_.name).back()).at("records"), 300);
  for (const std::string& line : cluster_.Published(job_.name)) ASSERT_EQ(line.find("aborted"), std::string::npos) << line;
}

TEST_F(MainJobTest, PartitionsGrownFromThreeToSixAreFolded) {
  ASSERT_OK(cluster_.Start(2));
  ASSERT_OK(cluster_.Submit(job_));
  Load load(topic(), 3, 500);
  ASSERT_OK(cluster_.WaitForBatches(job_.name, 3));
  ASSERT_OK(GrowTopic(topic(), 6));
  ASSERT_OK(ProduceSample(topic(), 6, 2, 3000));
  ASSERT_OK(cluster_.WaitForMoreBatches(job_.name, 3));
  ASSERT_OK(load.Stop());
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
  const json offsets = json::parse(cluster_.Published(job_.name).back()).at("offsets");
  ASSERT_EQ(offsets.size(), 6u) << offsets;
  for (int partition = 3; partition < 6; ++partition)
    EXPECT_EQ(offsets[static_cast<size_t>(partition)].at("next_offset"), 500);
}

TEST_F(MainJobTest, SeveralJobsRunOnTheSameWorkers) {
  absl::StatusOr<std::string> other_topic = CreateTopic(5);
  ASSERT_OK(other_topic.status());
  Job clicks = job_, likes = job_;
  clicks.name = "clicks";
  clicks.score = "1*clicks";
  clicks.interval = "500ms";
  clicks.wal = "async";
  clicks.top = 3;
  likes.name = "likes";
  likes.topics = {topic(), *other_topic};
  likes.score = "1*like";
  likes.interval = "100ms";
  likes.wal = "off";

  ASSERT_OK(cluster_.Start(2));
  for (const Job& job : {job_, clicks, likes}) ASSERT_OK(cluster_.Submit(job));
  Load load(topic(), 3, 300), other_load(*other_topic, 5, 300);
  for (const Job& job : {job_, clicks, likes}) ASSERT_OK(cluster_.WaitForBatches(job.name, 6));
  ASSERT_OK(load.Stop());
  ASSERT_OK(other_load.Stop());
  for (const Job& job : {job_, clicks, likes}) ASSERT_OK(cluster_.VerifyPublished(job.name));
}

TEST_F(MainJobTest, CancelledJobFreesItsNameAndKeepsItsOutput) {
  ASSERT_OK(cluster_.Start(1));
  ASSERT_OK(ProduceSample(topic(), 3, 1, 300));
  ASSERT_OK(cluster_.Submit(job_));
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
  const json first = json::parse(cluster_.Published(job_.name).back());
  const CliResult cancelled = cluster_.RunCli({"cancel", job_.name});
  ASSERT_EQ(cancelled.exit_code, 0) << cancelled.err;
  ASSERT_OK(cluster_.Submit(job_));
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
  const json second = json::parse(cluster_.Published(job_.name).back());
  EXPECT_NE(first.at("job_id"), second.at("job_id"));
  EXPECT_EQ(ResultOf(first), ResultOf(second));
}

}  // namespace
}  // namespace tenfold
