// A job that runs gets a spec that folds otherwise: its states are built anew from the log while it goes on.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/process/process.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

using nlohmann::json;

constexpr char kFormat[] = "  format: {delimited: {separator: \"|\", fields: [page, clicks, minutes, like]}}\n";

class RefoldTest : public ::testing::Test {
 protected:
  void Start(int workers) {
    absl::StatusOr<std::string> topic = CreateTopic();
    ASSERT_OK(topic.status());
    job_.topics = {*topic};
    ASSERT_OK(cluster_.Start(workers));
    ASSERT_OK(cluster_.Submit(job_));
    Produce();
  }
  void Produce() {
    ASSERT_OK(ProduceSample(job_.topics[0], 3, ++seed_, 300));
    ASSERT_OK(cluster_.WaitCaughtUp(job_.name).status());
  }
  CliResult Submit(const std::vector<std::string>& options) {
    std::vector<std::string> arguments = {"submit", cluster_.WriteFile("refolded.yaml", SpecText(job_))};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return cluster_.RunCli(arguments);
  }

  MiniCluster cluster_;
  Job job_;
  uint32_t seed_ = 0;
};

// From one linear sum to a fold of expressions and back again, and to another key.
TEST_F(RefoldTest, EveryBatchIsByTheSpecThatMadeItWhileWorkersAndTheDriverDie) {
  ASSERT_NO_FATAL_FAILURE(Start(2));
  const Job first = job_;
  const std::vector<std::string> folds = {
      absl::StrCat(kFormat, "where: minutes > 1\nkey: page\nmeasures: {clicks: sum(clicks), events: count()}\n"),
      absl::StrCat(kFormat, "group: right(page, 1)\nkey: page\nmeasures: {wait: avg(minutes)}\n"),
      first.fold,
  };
  std::vector<uint64_t> lasts;
  for (const std::string& fold : folds) {
    lasts.push_back(cluster_.WaitCaughtUp(job_.name).value().at("batch"));
    job_.fold = fold;
    const CliResult refused = Submit({"--update"});
    EXPECT_EQ(refused.exit_code, kExitRefused) << refused.err;
    EXPECT_TRUE(absl::StrContains(refused.err, "Add --refold")) << refused.err;
    ASSERT_OK(cluster_.Refold(job_));
    ASSERT_NO_FATAL_FAILURE(Produce());
    ASSERT_OK(cluster_.worker(static_cast<int>(seed_ % 2)).Kill());
    ASSERT_OK(cluster_.worker(static_cast<int>(seed_ % 2)).Start());
    ASSERT_NO_FATAL_FAILURE(Produce());
  }
  ASSERT_OK(cluster_.driver().Kill());
  ASSERT_OK(cluster_.driver().Start());
  ASSERT_NO_FATAL_FAILURE(Produce());
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
  // Also those that are no longer made by the present spec.
  for (const uint64_t batch : lasts) {
    const CliResult verified = cluster_.RunCliWhenKafkaAnswers({"verify", job_.name, "--batch", std::to_string(batch)});
    EXPECT_EQ(verified.exit_code, kExitOk) << batch << verified.out << verified.err;
    EXPECT_EQ(cluster_.RunCli({"top", job_.name, "--batch", std::to_string(batch)}).exit_code, kExitOk) << batch;
  }
  const CliResult shown = cluster_.RunCli({"status", job_.name});
  EXPECT_TRUE(absl::StrContains(shown.out, "on fold as the present spec does")) << shown.out;
}

TEST_F(RefoldTest, WhoIsAskedTwiceWhatItCannotDoOrForNothingSaysSo) {
  ASSERT_NO_FATAL_FAILURE(Start(1));
  const CliResult lone = Submit({"--refold"});
  EXPECT_EQ(lone.exit_code, kExitUsage) << lone.err;
  // What does not change what is folded needs no refold.
  job_.top = 3;
  const CliResult live = Submit({"--update", "--refold"});
  EXPECT_EQ(live.exit_code, kExitOk) << live.err;
  EXPECT_TRUE(absl::StrContains(live.err, "top is 3 from the next batch on")) << live.err;
  EXPECT_TRUE(cluster_.JobStatus(job_.name).value().at("refold").is_null());
  const std::string topic = job_.topics[0];
  job_.topics = {"another"};
  const CliResult other = Submit({"--update", "--refold"});
  EXPECT_EQ(other.exit_code, kExitRefused) << other.err;
  EXPECT_TRUE(absl::StrContains(other.err, "source.kafka.topics differs from the job's")) << other.err;
  job_.topics = {topic};
  // The log no longer reaches back to the start.
  DropRecords(topic, 0, 10);
  job_.fold = absl::StrCat(kFormat, "key: page\nmeasures: {clicks: sum(clicks)}\n");
  const CliResult begun = Submit({"--update", "--refold"});
  EXPECT_EQ(begun.exit_code, kExitOk) << begun.err;
  EXPECT_TRUE(absl::StrContains(begun.err, "once the state is built anew")) << begun.err;
  json status;
  ASSERT_OK(WaitUntil("the refold to end", absl::Seconds(30), [&] {
    status = cluster_.JobStatus(job_.name).value_or(json());
    return status.is_object() && !status.at("refold_failure").get<std::string>().empty();
  }));
  EXPECT_TRUE(status.at("refold").is_null());
  EXPECT_EQ(status.at("state"), "running");
  EXPECT_TRUE(absl::StrContains(status.at("refold_failure").get<std::string>(), "no longer has")) << status;
  EXPECT_TRUE(absl::StrContains(cluster_.RunCli({"status", job_.name}).out, "came to nothing: ")) << status;
  // Once the driver knows, a refold does not begin.
  CliResult again;
  ASSERT_OK(WaitUntil("the refold to be refused", absl::Seconds(30), [&] {
    again = Submit({"--update", "--refold"});
    return again.exit_code == kExitRefused;
  }));
  EXPECT_TRUE(absl::StrContains(again.err, "cannot be refolded: the log no longer has the job's start")) << again.err;
}

}  // namespace
}  // namespace tenfold
