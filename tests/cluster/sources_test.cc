// Where the records of a job come from and where it ends: several sources, topics by a pattern and ones that are created
// later, starts at times and offsets, and jobs that finish.
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/kafka/log.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"
#include "tests/cluster/record_writer.h"

namespace tenfold {
namespace {

using nlohmann::json;

class SourcesTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(cluster_.Start(2)); }

  // A topic of this name with one partition.
  static void Create(const std::string& name) {
    const absl::StatusOr<std::unique_ptr<LogClient>> client =
        LogClient::Create({.brokers = KafkaBrokers(), .properties = {}});
    ASSERT_OK(client.status());
    ASSERT_OK((*client)->CreateTopic(name, 1, 1, absl::Seconds(30)));
  }

  static std::string Spec(const std::string& name, const std::string& kafka, const std::string& rest = "") {
    return absl::StrCat("name: ", name, "\nsource:\n  kafka: {", kafka, "}\n",
                        "  format: {delimited: {separator: \"|\", fields: [page, n]}}\nkey: page\nscore: n\n", rest,
                        "batch: {interval: 200ms}\nsinks: [{file: {path: top.jsonl}}]\n");
  }

  std::string ScoreOf(const std::string& job, const std::string& key) {
    const CliResult top = cluster_.RunCli({"top", job, "-o", "json"});
    const json batch = json::parse(top.out, nullptr, false);
    if (!batch.is_object()) return absl::StrCat("no batch: ", top.err);
    for (const json& entry : batch.at("top")) {
      if (entry.at("key") == key) return entry.at("score");
    }
    return "none";
  }

  MiniCluster cluster_;
};

TEST_F(SourcesTest, AUnionOfTopicsThatAreNamedAndOnesThatMatchALaterOneAmongThem) {
  const absl::StatusOr<std::string> clicks = CreateTopic(2);
  ASSERT_OK(clicks.status());
  const std::string likes = UniqueName("likes");
  Create(likes + "-de");
  const Job job = {.name = "union",
                   .text = absl::StrCat(R"(name: union
sources:
  - kafka: {topics: [)",
                                        *clicks, R"(]}
    format: {delimited: {separator: "|", fields: [page, n]}}
    fields: {page: {text: page}, n: {decimal: n}}
  - kafka: {topics_matching: ")",
                                        likes, R"(-[a-z]+"}
    format: {json: {}}
    fields: {n: {decimal: amount, default: 1}, page: {text: url}}
key: page
measures: {score: sum(n), events: count()}
batch: {interval: 200ms}
sinks: [{file: {path: top.jsonl}}]
)")};
  ASSERT_OK(cluster_.Submit(job));
  ASSERT_OK(Produce(*clicks, 0, {"a|2", "b|1"}));
  ASSERT_OK(Produce(*clicks, 1, {"a|0.5"}));
  ASSERT_OK(Produce(likes + "-de", 0, {R"({"url":"a"})", R"({"url":"b","amount":5})", "a|1"}));
  ASSERT_OK(cluster_.WaitCaughtUp("union").status());
  EXPECT_EQ(ScoreOf("union", "a"), "3.5");
  EXPECT_EQ(ScoreOf("union", "b"), "6");

  Create(likes + "-fr");
  Create(likes + "-1");
  ASSERT_OK(Produce(likes + "-fr", 0, {R"({"url":"a","amount":100})"}));
  ASSERT_OK(Produce(likes + "-1", 0, {R"({"url":"a","amount":1000})"}));
  ASSERT_OK(cluster_.worker(0).Kill());
  ASSERT_OK(WaitUntil("the later topic's record", absl::Seconds(60), [&] { return ScoreOf("union", "a") == "103.5"; }));
  ASSERT_OK(cluster_.VerifyPublished("union"));
}

TEST_F(SourcesTest, AJobWaitsForATopicThatIsYetToBeCreated) {
  const std::string topic = UniqueName("later");
  const CliResult refused = cluster_.RunCli(
      {"submit", cluster_.WriteFile("refused.yaml", Spec("refused", absl::StrCat("topics: [", topic, "]")))});
  EXPECT_NE(refused.exit_code, 0);
  EXPECT_TRUE(absl::StrContains(refused.err, absl::StrCat("topic ", topic, " does not exist"))) << refused.err;

  const Job job = {.name = "later", .text = Spec("later", absl::StrCat("topics: [", topic, "], missing_topics: wait"))};
  ASSERT_OK(cluster_.Submit(job));
  ASSERT_OK(cluster_.WaitForState("later", "waiting"));
  const absl::StatusOr<json> status = cluster_.JobStatus("later");
  ASSERT_OK(status.status());
  EXPECT_EQ(status->at("reason"), absl::StrCat("topic ", topic, ", which is yet to be created"));
  ASSERT_OK(cluster_.driver().Kill());
  ASSERT_OK(cluster_.driver().Start());

  Create(topic);
  ASSERT_OK(Produce(topic, 0, {"a|2", "a|3"}));
  ASSERT_OK(WaitUntil("its records", absl::Seconds(60), [&] { return ScoreOf("later", "a") == "5"; }));
  ASSERT_OK(cluster_.VerifyPublished("later"));
}

TEST_F(SourcesTest, StartsAtATimeAndAtOffsetsAndFinishesAtThem) {
  const absl::StatusOr<std::string> topic = CreateTopic(2);
  ASSERT_OK(topic.status());
  RecordWriter writer("none");
  ASSERT_OK(writer.status());
  // 2026-01-01T00:00Z.
  constexpr int64_t kBegin = 1'767'225'600'000;
  for (int i = 0; i < 100; ++i) {
    for (int partition = 0; partition < 2; ++partition) {
      const RecordToWrite record{.key = {},
                                 .value = absl::StrCat("a|", partition == 0 ? 1 : 1000),
                                 .headers = {},
                                 .timestamp_ms = kBegin + i * 60'000};
      ASSERT_OK(writer.Append(*topic, partition, record));
    }
  }
  ASSERT_OK(writer.Flush());
  const std::string topics = absl::StrCat("topics: [", *topic, "], ");
  const auto submit = [&](const std::string& name, const std::string& range) {
    return cluster_.Submit({.name = name, .text = Spec(name, topics + range)});
  };
  ASSERT_OK(submit("by-time", "start: 2026-01-01T00:10:00Z, until: 2026-01-01T00:30:00Z"));
  ASSERT_OK(submit("by-offset", absl::StrCat("start: {", *topic, ": {1: 90}}, until: latest")));
  ASSERT_OK(submit("all", "until: latest"));
  for (const char* const job : {"by-time", "by-offset", "all"}) ASSERT_OK(cluster_.WaitForState(job, "finished"));
  // What comes later is of none of them.
  ASSERT_OK(Produce(*topic, 0, {"a|1000000"}));
  EXPECT_EQ(ScoreOf("by-time", "a"), "20020");
  EXPECT_EQ(ScoreOf("by-offset", "a"), "10100");
  EXPECT_EQ(ScoreOf("all", "a"), "100100");
  for (const char* const job : {"by-time", "by-offset", "all"})
    EXPECT_EQ(cluster_.RunCli({"verify", job}).exit_code, 0) << job;
  ASSERT_OK(cluster_.VerifyPublished("all"));
  // The result outlives the driver and the workers that made it.
  ASSERT_OK(cluster_.driver().Kill());
  ASSERT_OK(cluster_.worker(0).Kill());
  ASSERT_OK(cluster_.driver().Start());
  EXPECT_EQ(ScoreOf("all", "a"), "100100");
  ASSERT_OK(cluster_.WaitForState("all", "finished"));

  const auto refusal = [&](const std::string& range) {
    return cluster_.RunCli({"submit", cluster_.WriteFile("refused.yaml", Spec("refused", topics + range))}).err;
  };
  EXPECT_TRUE(absl::StrContains(refusal("until: 2199-01-01"), "until lies in the future"));
  EXPECT_TRUE(
      absl::StrContains(refusal(absl::StrCat("start: {", *topic, ": {1: 1000}}")), "which has offsets 0 to 100 now"));
  EXPECT_TRUE(absl::StrContains(refusal(absl::StrCat("start: {", *topic, ": {7: 0}}")), "which its topics do not have"));
  EXPECT_TRUE(absl::StrContains(refusal(absl::StrCat("until: {", *topic, ": {1: 50}}")), "until names no offset of"));
}

TEST_F(SourcesTest, EveryWindowIsFinalWhereAJobEndsWhileWorkersDie) {
  const absl::StatusOr<std::string> topic = CreateTopic(3);
  ASSERT_OK(topic.status());
  RecordWriter writer("none");
  ASSERT_OK(writer.status());
  constexpr int64_t kBegin = 1'767'225'600'000;
  for (int i = 0; i < 3000; ++i) {
    const RecordToWrite record{
        .key = {}, .value = absl::StrCat("page", i % 37, "|", i % 11), .headers = {}, .timestamp_ms = kBegin + i * 10'000};
    ASSERT_OK(writer.Append(*topic, i % 3, record));
  }
  ASSERT_OK(writer.Flush());
  // More windows than a batch has room for.
  const Job job = {.name = "minutes",
                   .text = Spec("minutes", absl::StrCat("topics: [", *topic, "], until: latest"),
                                "window: {sliding: {size: 5m, every: 1m}, lateness: 2h}\n")};
  ASSERT_OK(cluster_.Submit(job));
  ASSERT_OK(cluster_.WaitForBatches("minutes", 2));
  ASSERT_OK(cluster_.worker(1).Kill());
  ASSERT_OK(cluster_.worker(1).Start());
  ASSERT_OK(cluster_.WaitForState("minutes", "finished"));
  ASSERT_OK(cluster_.VerifyPublished("minutes"));
  size_t finals = 0;
  for (const std::string& line : cluster_.Published("minutes")) finals += json::parse(line).at("window").at("final") == true;
  EXPECT_EQ(finals, 504u) << "500 minutes, and those of which the last five are a part";
}

}  // namespace
}  // namespace tenfold
