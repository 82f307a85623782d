// Jobs in SQL: what they publish is what the same job in YAML publishes, and a query is answered without a driver.
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "common/kafka/log.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

using nlohmann::json;

// 2020-10-24T00:00Z, so that windows are over by any clock.
constexpr int64_t kBeginMs = 1'603'497'600'000;

class SqlJobTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(cluster_.Start(2));
    const absl::StatusOr<std::string> topic = CreateTopic();
    ASSERT_OK(topic.status());
    topic_ = *topic;
    for (int partition = 0; partition < 3; ++partition) {
      std::vector<std::string> records;
      for (int i = 0; i < 400; ++i) {
        records.push_back(absl::StrCat(R"({"page":"https://a/p)", (i * 7 + partition) % 17, R"(","m":{"clicks":)", i % 5,
                                       "},\"ms\":", kBeginMs + i * 60'000, "}"));
      }
      records.emplace_back("no JSON");
      ASSERT_OK(Produce(topic_, partition, records));
    }
  }

  // A table of the topic, and a query of it.
  std::string Sql(const std::string& query) const {
    return absl::StrCat(
        "CREATE TABLE clicks (page text NOT NULL, clicks integer NOT NULL, at timestamptz NOT NULL)\n"
        "  WITH (topics = '",
        topic_,
        "', format = 'json', path.clicks = 'm.clicks', path.at = 'ms', unit.at = 'ms', ahead = '10000h',\n"
        "  lateness = '0s', interval = '200ms', sinks = 'file:top.jsonl');\n",
        query);
  }

  MiniCluster cluster_;
  std::string topic_;
};

TEST_F(SqlJobTest, AJobInSqlPublishesWhatTheOneInYamlDoes) {
  const Job yaml = {.name = "yaml", .topics = {topic_}, .fold = R"(  format: {json: {}}
  fields: {page: {text: page}, clicks: {integer: m.clicks}, at: {timestamp: ms, unit: ms}}
  time: at
where: clicks > 0
key: url_path(page)
measures: {score: sum(0.8*clicks), events: count()}
having: events > 2
window: {tumbling: 1h, lateness: 0s, ahead: 10000h}
)"};
  ASSERT_OK(cluster_.Submit(yaml));
  const CliResult submitted = cluster_.RunCli(
      {"sql", "--name", "in-sql",
       Sql("SELECT window_start, url_path(page), SUM(0.8*clicks) AS score, COUNT(*) AS events\n"
           "FROM TUMBLE(clicks, at, INTERVAL '1 hour') WHERE clicks > 0 GROUP BY window_start, url_path(page)\n"
           "HAVING COUNT(*) > 2 ORDER BY score DESC LIMIT 10")});
  ASSERT_EQ(submitted.exit_code, 0) << submitted.err;
  const absl::StatusOr<json> by_yaml = cluster_.WaitCaughtUp("yaml");
  ASSERT_OK(by_yaml.status());
  const absl::StatusOr<json> by_sql = cluster_.WaitCaughtUp("in-sql");
  ASSERT_OK(by_sql.status());
  for (const char* part : {"top", "window", "records", "bad_records", "filtered_records", "late_records"})
    EXPECT_EQ(by_yaml->at(part), by_sql->at(part)) << part;
  ASSERT_OK(cluster_.VerifyPublished("yaml"));
  const CliResult verified = cluster_.RunCli({"verify", "in-sql"});
  EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
}

TEST_F(SqlJobTest, AQueryIsAnsweredWithoutADriverAndLeavesNothing) {
  const std::string query = "SELECT page, SUM(clicks) AS clicks FROM clicks GROUP BY page ORDER BY clicks DESC LIMIT 3";
  const Job yaml = {.name = "yaml",
                    .topics = {topic_},
                    .fold = R"(  format: {json: {}}
  fields: {page: {text: page}, clicks: {integer: m.clicks}}
key: page
measures: {clicks: sum(clicks)}
)",
                    .top = 3};
  ASSERT_OK(cluster_.Submit(yaml));
  const absl::StatusOr<json> batch = cluster_.WaitCaughtUp("yaml");
  ASSERT_OK(batch.status());
  const CliResult as_json = cluster_.RunCli({"sql", "--kafka", KafkaBrokers(), "-o", "json", Sql(query)});
  ASSERT_EQ(as_json.exit_code, 0) << as_json.err;
  const json line = json::parse(as_json.out, nullptr, false);
  ASSERT_TRUE(line.is_object()) << as_json.out;
  EXPECT_EQ(line.at("top"), batch->at("top"));
  EXPECT_TRUE(absl::StartsWith(as_json.err, "tenfold: 3 of 1203 records are bad: 3 malformed_record; ")) << as_json.err;
  EXPECT_TRUE(absl::EndsWith(as_json.err, " at offset 400: 'no JSON'\n")) << as_json.err;
  const CliResult as_csv = cluster_.RunCli({"sql", "--kafka", KafkaBrokers(), "-o", "csv", Sql(query)});
  const json& first = batch->at("top")[0];
  EXPECT_TRUE(as_csv.out.starts_with(absl::StrCat("rank,page,clicks\r\n1,", first.at("key").get<std::string>(), ",",
                                                  first.at("score").get<std::string>(), "\r\n")))
      << as_csv.out;
}

TEST_F(SqlJobTest, WindowsOfAQueryComeInTheirOrder) {
  const CliResult shown = cluster_.RunCli({"sql", "--kafka", KafkaBrokers(), "-o", "csv",
                                           Sql("SELECT window_start, page, COUNT(*) AS n FROM TUMBLE(clicks, at, INTERVAL "
                                               "'1 hour') GROUP BY page, window_start\n"
                                               "ORDER BY n DESC LIMIT 1")});
  ASSERT_EQ(shown.exit_code, 0) << shown.err;
  // 400 minutes are six hours and a part of the seventh.
  std::vector<std::string> lines = absl::StrSplit(shown.out, "\r\n", absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 8u) << shown.out;
  EXPECT_TRUE(absl::StartsWith(lines[1], "2020-10-24T00:00:00.000Z,2020-10-24T01:00:00.000Z,true,1,")) << lines[1];
  EXPECT_TRUE(absl::StartsWith(lines[7], "2020-10-24T06:00:00.000Z,2020-10-24T07:00:00.000Z,true,1,")) << lines[7];
}

TEST_F(SqlJobTest, AQueryOfAUnionExplodesListsAndLooksUpTables) {
  const std::string likes = UniqueName("likes");
  const absl::StatusOr<std::unique_ptr<LogClient>> client = LogClient::Create({.brokers = KafkaBrokers(), .properties = {}});
  ASSERT_OK(client.status());
  for (const char* const country : {"-de", "-fr"})
    ASSERT_OK((*client)->CreateTopic(likes + country, 1, 1, absl::Seconds(30)));
  ASSERT_OK(Produce(likes + "-de", 0, {"https://b/p1|100", "https://a/p2|0.5"}));
  ASSERT_OK(Produce(likes + "-fr", 0, {"https://b/p1|100", "bad"}));
  const std::string names = cluster_.WriteFile("names.csv", "b,the b\n");
  const std::string schema = cluster_.WriteFile(
      "union.sql", absl::StrCat("CREATE TABLE clicks (page text NOT NULL, clicks numeric NOT NULL) WITH (topics = '", topic_,
                                "', format = 'json', path.clicks = 'm.clicks');\n"
                                "CREATE TABLE likes (url text NOT NULL, n numeric NOT NULL) WITH (topics_matching = '",
                                likes, "-[a-z]+', format = 'delimited', separator = '|');\n",
                                "CREATE TABLE names (host text, name text) WITH (file = '", names, "');\n"));
  const CliResult asked = cluster_.RunCli(
      {"sql", "--kafka", KafkaBrokers(), "--schema", schema, "-o", "csv",
       "SELECT lookup(names, part, part) AS part, SUM(n) AS score, COUNT(*) AS events "
       "FROM (SELECT page, clicks AS n FROM clicks UNION ALL SELECT url, n FROM likes) u, unnest(split(page, '/')) AS "
       "t(part) "
       "WHERE part <> '' AND part <> 'https:' AND part NOT LIKE 'p%' GROUP BY 1 ORDER BY score DESC LIMIT 10"});
  EXPECT_EQ(asked.exit_code, 0) << asked.err;
  // Each partition of the first topic has 400 records of 0 to 4 clicks.
  EXPECT_EQ(asked.out, "rank,part,score,events\r\n1,a,2400.5,1201\r\n2,the b,200,2\r\n");
  EXPECT_TRUE(absl::StrContains(asked.err, "4 of 1207 records are bad")) << asked.err;
}

TEST_F(SqlJobTest, TheLastRecordsOfATopicAreTriedStepByStep) {
  const std::string file = ::testing::TempDir() + "/tried-" + topic_ + ".sql";
  std::ofstream(file) << Sql(
      "SELECT page, SUM(clicks) AS s FROM clicks WHERE clicks > 2 GROUP BY page ORDER BY s DESC LIMIT 1");
  const CliResult tried = cluster_.RunCli({"try", file, "--kafka", KafkaBrokers(), "--limit", "6"});
  std::filesystem::remove(file);
  ASSERT_EQ(tried.exit_code, 0) << tried.err;
  // The last two of each partition: one with 4 clicks, and one that is no JSON.
  EXPECT_TRUE(absl::StrContains(tried.out, absl::StrCat(topic_, "[2] 399  {"))) << tried.out;
  EXPECT_TRUE(absl::StrContains(tried.out, ": s 4\n")) << tried.out;
  EXPECT_TRUE(absl::EndsWith(tried.out, "6 records: 3 bad, 0 filtered, 3 add to a key\n")) << tried.out;
}

TEST_F(SqlJobTest, WhatIsNoQueryIsRefusedInItsPlace) {
  const CliResult wrong = cluster_.RunCli({"sql", "--kafka", KafkaBrokers(), Sql("SELECT pages FROM clicks LIMIT 1")});
  EXPECT_EQ(wrong.exit_code, 65);
  EXPECT_TRUE(absl::StartsWith(wrong.err, "sql:4:8: there is no column 'pages' (did you mean page?) in clicks\n"))
      << wrong.err;
  const CliResult nameless = cluster_.RunCli({"sql", Sql("SELECT COUNT(*) FROM clicks ORDER BY count LIMIT 1")});
  EXPECT_EQ(nameless.exit_code, 64);
  const CliResult missing = cluster_.RunCli({"sql", "--kafka", KafkaBrokers(),
                                             "CREATE TABLE no_such_topic (x text) WITH (format = 'json'); SELECT COUNT(*) "
                                             "FROM no_such_topic ORDER BY count LIMIT 1"});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(missing.err, "topic no_such_topic does not exist")) << missing.err;
}

}  // namespace
}  // namespace tenfold
