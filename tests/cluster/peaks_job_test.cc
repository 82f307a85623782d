// Jobs of highest and lowest numbers: every batch and every final window as the oracle has them, while shards move, workers
// and the driver die and the rank changes.
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

using nlohmann::json;

constexpr int64_t kPast = 1'577'836'800'000;

constexpr char kFold[] = R"(  format: {json: {}}
  fields:
    sensor: {text: id}
    celsius: {decimal: c, nullable: true}
    at: {timestamp: at, unit: ms}
)";

class PeaksJobTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(cluster_.Start(2)); }

  // What many sensors say in some minutes from the first on, in each of three partitions.
  static void ProduceMinutes(const std::string& topic, int64_t first, int64_t last) {
    for (int partition = 0; partition < 3; ++partition) {
      std::vector<std::string> records;
      for (int64_t i = first * 200; i < last * 200; ++i) {
        const int64_t n = (i * 7919 + partition * 104'729) % 100'003;
        const std::string celsius = n % 13 == 0 ? "null" : absl::StrCat(n % 81 - 40, ".", n % 997);
        records.push_back(
            absl::StrCat(R"({"id":"s)", n % 1'500, R"(","c":)", celsius, R"(,"at":)", kPast + i * 300, "}"));
      }
      ASSERT_OK(Produce(topic, partition, records));
    }
  }

  MiniCluster cluster_;
};

TEST_F(PeaksJobTest, StayExactWhileShardsMoveAndProcessesDieAndTheRankChanges) {
  absl::StatusOr<std::string> topic = CreateTopic();
  ASSERT_OK(topic.status());
  const std::string measures = "key: sensor\nmeasures: {peak: max(celsius), low: min(celsius), readings: count()}\n";
  const Job always = {.name = "always", .topics = {*topic}, .fold = absl::StrCat(kFold, measures)};
  const Job minutes = {.name = "minutes",
                       .topics = {*topic},
                       .fold = absl::StrCat(kFold, "  time: at\n", measures, "rank: low\norder: ascending\n",
                                            "having: peak > -30\nwindow: {tumbling: 1m, lateness: 5s}\n")};
  ASSERT_OK(cluster_.Submit(always));
  ASSERT_OK(cluster_.Submit(minutes));
  ProduceMinutes(*topic, 0, 4);
  ASSERT_OK(cluster_.WaitCaughtUp(always.name).status());
  ASSERT_OK(cluster_.worker(1).Kill());
  ProduceMinutes(*topic, 4, 8);
  ASSERT_OK(cluster_.WaitCaughtUp(always.name).status());
  // Shards leave the one that is left.
  ASSERT_OK(cluster_.worker(1).Start());
  ASSERT_OK(cluster_.driver().Kill());
  ASSERT_OK(cluster_.driver().Start());
  ProduceMinutes(*topic, 8, 10);
  ASSERT_OK(cluster_.WaitCaughtUp(minutes.name).status());
  ASSERT_OK(cluster_.VerifyPublished(always.name));
  ASSERT_OK(cluster_.VerifyPublished(minutes.name));

  Job coldest = always;
  coldest.fold += "rank: low\n";
  ASSERT_OK(cluster_.Update(coldest));
  ProduceMinutes(*topic, 10, 11);
  ASSERT_OK(cluster_.WaitCaughtUp(always.name).status());
  const json last = json::parse(cluster_.Published(always.name).back());
  EXPECT_EQ(last.at("top").at(0).at("score"), last.at("top").at(0).at("measures").at("low")) << last;
  const CliResult verified = cluster_.RunCli({"verify", always.name});
  EXPECT_EQ(verified.exit_code, 0) << verified.err;
  const CliResult explained = cluster_.RunCli({"explain", minutes.name});
  EXPECT_TRUE(absl::StrContains(explained.out, "the 10 keys with the lowest low that is not null")) << explained.out;
}

}  // namespace
}  // namespace tenfold
