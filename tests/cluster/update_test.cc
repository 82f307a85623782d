// A job that runs gets another spec, or its driver other brokers: it goes on from where it is.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/process/process.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

using nlohmann::json;

class UpdateTest : public ::testing::Test {
 protected:
  void Start() {
    absl::StatusOr<std::string> topic = CreateTopic();
    ASSERT_OK(topic.status());
    job_.topics = {*topic};
    ASSERT_OK(cluster_.Start(1));
    ASSERT_OK(cluster_.Submit(job_));
    ASSERT_OK(ProduceSample(*topic, 3, /*seed=*/1, 300));
    ASSERT_OK(cluster_.WaitCaughtUp(job_.name).status());
  }

  // The batches of one sink, from the first it has.
  std::vector<uint64_t> Batches(const std::string& path) const {
    std::vector<uint64_t> batches;
    for (const std::string& line : cluster_.Published(job_.name, path)) batches.push_back(json::parse(line).at("batch"));
    return batches;
  }

  MiniCluster cluster_;
  Job job_;
};

TEST_F(UpdateTest, AnotherTopIsPublishedAtOnceAndOlderBatchesStayVerifiable) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const uint64_t before = cluster_.WaitCaughtUp(job_.name).value().at("batch");
  job_.top = 3;
  ASSERT_OK(cluster_.Update(job_));
  ASSERT_OK(cluster_.WaitForBatches(job_.name, before + 1));
  EXPECT_EQ(json::parse(cluster_.Published(job_.name).back()).at("top").size(), 3u);
  for (const uint64_t batch : {before, before + 1}) {
    const CliResult verified = cluster_.RunCli({"verify", job_.name, "--batch", std::to_string(batch)});
    EXPECT_EQ(verified.exit_code, kExitOk) << verified.out << verified.err;
  }
}

// Each batch stays what it was made by, also for a driver that starts later.
TEST_F(UpdateTest, AnotherRankOrderAndConditionHoldFromTheNextBatchOnWhileWorkersAndTheDriverDie) {
  absl::StatusOr<std::string> topic = CreateTopic();
  ASSERT_OK(topic.status());
  job_.topics = {*topic};
  const std::string fold =
      "  format: {delimited: {separator: \"|\", fields: [page, clicks, minutes, like]}}\n"
      "group: right(page, 1)\nkey: page\nmeasures: {clicks: sum(clicks), events: count(), wait: avg(minutes)}\n";
  job_.fold = fold;
  job_.top = 5;
  ASSERT_OK(cluster_.Start(2));
  ASSERT_OK(cluster_.Submit(job_));
  std::vector<uint64_t> batches;
  const std::vector<std::string> results = {"rank: wait\n", "rank: events\norder: ascending\n",
                                            "having: wait > 4\ngroups: 3\n", "order: ascending\nhaving: events >= 3\n"};
  uint32_t seed = 0;
  for (const std::string& result : results) {
    ASSERT_OK(ProduceSample(*topic, 3, ++seed, 300));
    ASSERT_OK(cluster_.WaitCaughtUp(job_.name).status());
    // Nothing comes, and yet the next batch is by the new spec.
    job_.fold = fold + result;
    const uint64_t before = cluster_.WaitCaughtUp(job_.name).value().at("batch");
    ASSERT_OK(cluster_.Update(job_));
    ASSERT_OK(cluster_.WaitForBatches(job_.name, before + 1));
    batches.push_back(before);
    batches.push_back(before + 1);
    ASSERT_OK(cluster_.worker(static_cast<int>(seed % 2)).Kill());
    ASSERT_OK(cluster_.worker(static_cast<int>(seed % 2)).Start());
  }
  ASSERT_OK(cluster_.driver().Kill());
  ASSERT_OK(cluster_.driver().Start());
  for (const uint64_t batch : batches) {
    const CliResult verified = cluster_.RunCliWhenKafkaAnswers({"verify", job_.name, "--batch", std::to_string(batch)});
    EXPECT_EQ(verified.exit_code, kExitOk) << batch << verified.out << verified.err;
  }
  // A sink that is added late gets what the one before got.
  const std::vector<std::string> lines = cluster_.Published(job_.name);
  const auto shown = [&](uint64_t batch) {
    std::string entry;
    for (const std::string& line : lines) {
      const json parsed = json::parse(line);
      if (parsed.at("batch") == batch && entry.empty() && !parsed.at("top").empty()) entry = parsed.at("top").at(0).dump();
    }
    return json::parse(entry);
  };
  const json first = shown(batches[0]);
  EXPECT_EQ(first.at("score"), first.at("measures").at("clicks")) << first;
  const json second = shown(batches[1]);
  EXPECT_EQ(second.at("score"), second.at("measures").at("wait")) << second;
  const CliResult same = cluster_.RunCli({"submit", "--update", cluster_.WriteFile("same.yaml", SpecText(job_))});
  EXPECT_TRUE(absl::StrContains(same.err, "nothing changes: the job has this spec already")) << same.err;
}

// Another job of the same topic shows that there is something to fold, and workers that do.
TEST_F(UpdateTest, APausedJobStaysAsItIsWhateverIsStartedAgainAndThenGoesOn) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const uint64_t before = cluster_.WaitCaughtUp(job_.name).value().at("batch");
  const CliResult paused = cluster_.RunCli({"pause", job_.name});
  ASSERT_EQ(paused.exit_code, kExitOk) << paused.err;
  EXPECT_EQ(paused.out, cluster_.JobStatus(job_.name).value().at("job_id").get<std::string>() + "\n");
  Job other = job_;
  other.name = "other";
  ASSERT_OK(cluster_.Submit(other));
  ASSERT_OK(ProduceSample(job_.topics[0], 3, /*seed=*/2, 300));
  ASSERT_OK(cluster_.WaitCaughtUp(other.name).status());
  ASSERT_OK(cluster_.driver().Kill());
  ASSERT_OK(cluster_.worker(0).Kill());
  ASSERT_OK(cluster_.driver().Start());
  ASSERT_OK(cluster_.worker(0).Start());
  ASSERT_OK(ProduceSample(job_.topics[0], 3, /*seed=*/3, 300));
  ASSERT_OK(cluster_.WaitCaughtUp(other.name).status());

  const absl::StatusOr<json> status = cluster_.JobStatus(job_.name);
  ASSERT_OK(status.status());
  EXPECT_EQ(status->at("state"), "paused");
  EXPECT_EQ(status->at("batch"), before);
  const CliResult shown = cluster_.RunCli({"status", job_.name});
  EXPECT_TRUE(absl::StrContains(shown.out, "is paused since 20")) << shown.out;
  EXPECT_TRUE(absl::StrContains(shown.out, absl::StrCat("after batch ", before, "; tenfold resume "))) << shown.out;
  EXPECT_EQ(cluster_.RunCli({"top", job_.name}).exit_code, kExitOk);
  EXPECT_EQ(cluster_.RunCli({"verify", job_.name}).exit_code, kExitOk);

  EXPECT_EQ(cluster_.RunCli({"resume", job_.name}).exit_code, kExitOk);
  EXPECT_EQ(cluster_.RunCli({"resume", job_.name}).exit_code, kExitOk) << "it goes on already";
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
  const CliResult unknown = cluster_.RunCli({"pause", "none"});
  EXPECT_NE(unknown.exit_code, kExitOk);
  EXPECT_TRUE(absl::StrContains(unknown.err, "there is no job none")) << unknown.err;
}

TEST_F(UpdateTest, ASinkThatIsAddedGetsTheBatchesFromThereOnAndOthersMissNone) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const uint64_t before = cluster_.WaitCaughtUp(job_.name).value().at("batch");
  job_.more_sinks = {"more.jsonl"};
  ASSERT_OK(cluster_.Update(job_));
  ASSERT_OK(cluster_.driver().Kill());
  ASSERT_OK(cluster_.driver().Start());
  ASSERT_OK(ProduceSample(job_.topics[0], 3, /*seed=*/2, 300));
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
  ASSERT_OK(WaitUntil("the sink that was added", absl::Seconds(30), [&] {
    const std::vector<uint64_t> more = Batches("more.jsonl");
    return !more.empty() && more.back() == Batches("top.jsonl").back();
  }));
  std::vector<uint64_t> since = Batches("top.jsonl");
  since.erase(since.begin(), since.begin() + static_cast<std::ptrdiff_t>(before));
  EXPECT_EQ(Batches("more.jsonl"), since);
}

TEST_F(UpdateTest, WhatDecidesTheStateStays) {
  ASSERT_NO_FATAL_FAILURE(Start());
  job_.score = "2*clicks";
  const absl::Status refused = cluster_.Update(job_);
  EXPECT_TRUE(absl::StrContains(refused.message(), "score differs from the job's")) << refused;
  EXPECT_EQ(cluster_.JobStatus(job_.name).value().at("spec").at("score"), "0.8*clicks + 0.8*minutes + 1*like");
  job_.name = "nobody";
  const absl::Status unknown = cluster_.Update(job_);
  EXPECT_TRUE(absl::StrContains(unknown.message(), "there is no job nobody")) << unknown;
}

TEST(BrokersOfTheDriverTest, AJobWithoutItsOwnFollowsThem) {
  const OwnKafka kafka(3);
  const std::vector<std::string> brokers = absl::StrSplit(kafka.brokers(), ',');
  MiniCluster cluster;
  const Job job = {.topics = {CreateTopicAs("--replica-assignment 1")}};
  ASSERT_OK(cluster.driver().Start({.flags = {}, .fault_point = "", .instead = {{"--kafka", brokers[1]}}}));
  ASSERT_OK(cluster.worker(0).Start());
  ASSERT_OK(cluster.Submit(job));
  ASSERT_OK(ProduceSample(job.topics[0], 1, /*seed=*/1, 300));
  ASSERT_OK(cluster.WaitCaughtUp(job.name).status());

  ASSERT_OK(kafka.Kill(2));
  ASSERT_OK(cluster.driver().Kill());
  ASSERT_OK(cluster.driver().Start({.flags = {}, .fault_point = "", .instead = {{"--kafka", brokers[1]}}}));
  ASSERT_OK(cluster.WaitForState(job.name, "waiting"));
  ASSERT_OK(cluster.driver().Kill());
  ASSERT_OK(cluster.worker(0).Kill());
  ASSERT_OK(cluster.driver().Start({.flags = {}, .fault_point = "", .instead = {{"--kafka", brokers[0]}}}));
  ASSERT_OK(cluster.worker(0).Start());
  ASSERT_OK(ProduceSample(job.topics[0], 1, /*seed=*/2, 300));
  ASSERT_OK(cluster.VerifyPublished(job.name));
}

TEST_F(UpdateTest, ATopicThatHasBecomeCompactedHoldsTheJobUntilTheSpecAllowsIt) {
  ASSERT_NO_FATAL_FAILURE(Start());
  ConfigureTopic(job_.topics[0], "cleanup.policy=compact");
  ASSERT_OK(cluster_.driver().Kill());
  ASSERT_OK(cluster_.driver().Start());
  ASSERT_OK(WaitUntil("the job to wait for its topic", absl::Seconds(30), [&] {
    const std::string reason = cluster_.JobStatus(job_.name).value().at("reason");
    return absl::StrContains(reason, absl::StrCat("topic ", job_.topics[0], ", which has become compacted"));
  }));
  job_.kafka = "allow_compacted: true, ";
  ASSERT_OK(cluster_.Update(job_));
  ASSERT_OK(cluster_.WaitForState(job_.name, "running"));
}

}  // namespace
}  // namespace tenfold
