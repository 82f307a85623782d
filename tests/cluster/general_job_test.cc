// Jobs whose fold is of expressions, over JSON records: every batch as the oracle has it, while a worker dies.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"
#include "tests/cluster/record_writer.h"

namespace tenfold {
namespace {

using nlohmann::json;

constexpr char kFold[] = R"(  format: {json: {}}
  fields:
    url: {text: page.url}
    country: {text: user.country, default: "?"}
    clicks: {integer: m.clicks}
    minutes: {decimal: m.minutes, nullable: true}
where: clicks > 0 and starts_with(url, "https://")
let: {path: url_path(url)}
key: [lower(country), path]
measures:
  minutes_a_click: sum(coalesce(minutes, 0) / clicks)
  minutes: sum(minutes)
  events: count()
)";

std::string Event(int i) {
  return absl::StrCat(R"({"page":{"url":"https://example.org/p)", i % 23, R"("},"user":{)",
                      i % 5 == 0 ? "" : absl::StrCat(R"("country":"C)", i % 3, "\""), R"(},"m":{"clicks":)", i % 7,
                      R"(,"minutes":)", i % 11 == 0 ? "null" : absl::StrCat(i % 13, ".", i), "}}");
}

class GeneralJobTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(cluster_.Start(2)); }

  MiniCluster cluster_;
};

TEST_F(GeneralJobTest, StaysExactWhileAWorkerDiesAndSaysWhatItLeftOut) {
  absl::StatusOr<std::string> topic = CreateTopic();
  ASSERT_OK(topic.status());
  const Job job = {.name = "by-country", .topics = {*topic}, .fold = kFold};
  ASSERT_OK(cluster_.Submit(job));
  const auto produce = [&](int round) {
    for (int partition = 0; partition < 3; ++partition) {
      std::vector<std::string> records;
      for (int i = 0; i < 300; ++i) records.push_back(Event(round * 1000 + partition * 300 + i));
      records.push_back(R"({"page":{"url":"https://a/"},"m":{"clicks":"1"}})");
      records.push_back("no JSON");
      ASSERT_OK(Produce(*topic, partition, records));
    }
  };
  produce(0);
  ASSERT_OK(cluster_.WaitCaughtUp(job.name).status());
  ASSERT_OK(cluster_.worker(1).Kill());
  produce(1);
  ASSERT_OK(cluster_.VerifyPublished(job.name));

  const json last = json::parse(cluster_.Published(job.name).back());
  EXPECT_EQ(last.at("records"), 2 * 3 * 302);
  EXPECT_EQ(last.at("bad_records"), 2 * 3 * 2);
  EXPECT_GT(last.at("filtered_records"), 200);
  EXPECT_EQ(last.at("top").at(0).at("key").size(), 2u);
  const absl::StatusOr<json> status = cluster_.JobStatus(job.name);
  ASSERT_OK(status.status());
  EXPECT_EQ(status->at("bad_records"), json({{"field_wrong_type", 6}, {"malformed_record", 6}}));
  EXPECT_EQ(status->at("bad_subjects"), json::parse(R"([{"subject":"clicks","reason":"field_wrong_type","count":6}])"));
  const CliResult explained = cluster_.RunCli({"explain", job.name});
  EXPECT_TRUE(absl::StrContains(explained.out, "where    clicks > 0 and starts_with(url, \"https://\")")) << explained.out;
  const CliResult verified = cluster_.RunCli({"verify", job.name});
  EXPECT_EQ(verified.exit_code, 0) << verified.err;
}

// Every batch is compared with the oracle; the last one by hand as well.
TEST_F(GeneralJobTest, RanksByTheMeasureNamedTheKeysThatHavingLetsIn) {
  absl::StatusOr<std::string> topic = CreateTopic();
  ASSERT_OK(topic.status());
  const auto record = [](const std::string& path, int clicks, const std::string& minutes) {
    return absl::StrCat(R"({"page":{"url":"https://e.org/)", path, R"("},"m":{"clicks":)", clicks, R"(,"minutes":)", minutes,
                        "}}");
  };
  const std::string fold = absl::StrCat(kFold, "rank: minutes\norder: ascending\nhaving: events >= 2 and minutes < 100\n");
  const Job job = {.name = "idle", .topics = {*topic}, .fold = fold};
  ASSERT_OK(Produce(*topic, 0, {record("often", 1, "5"), record("often", 2, "1.5"), record("rare", 1, "0.5")}));
  ASSERT_OK(Produce(*topic, 1, {record("null", 1, "null"), record("null", 1, "null"), record("long", 1, "99")}));
  ASSERT_OK(Produce(*topic, 2, {record("long", 1, "7"), record("some", 3, "2"), record("some", 1, "null")}));
  ASSERT_OK(cluster_.Submit(job));
  ASSERT_OK(cluster_.VerifyPublished(job.name));
  const json top = json::parse(cluster_.Published(job.name).back()).at("top");
  const json expected = json::parse(R"([
    {"rank":1,"key":["?","/some"],"score":"2","measures":{"minutes_a_click":"0.666666667","minutes":"2","events":"2"}},
    {"rank":2,"key":["?","/often"],"score":"6.5","measures":{"minutes_a_click":"5.75","minutes":"6.5","events":"2"}}])");
  EXPECT_EQ(top, expected) << top;
  const CliResult shown = cluster_.RunCli({"top", job.name});
  EXPECT_TRUE(absl::StrContains(shown.out, "KEY             MINUTES  MINUTES_A_CLICK  EVENTS")) << shown.out;
  const CliResult verified = cluster_.RunCli({"verify", job.name});
  EXPECT_EQ(verified.exit_code, 0) << verified.err;
}

// The worker's reader and that of the comparison are not the same.
TEST_F(GeneralJobTest, ReadsKeysTimestampsAndHeaders) {
  absl::StatusOr<std::string> topic = CreateTopic();
  ASSERT_OK(topic.status());
  RecordWriter writer("lz4");
  ASSERT_OK(writer.status());
  const auto append = [&](int partition, std::optional<std::string> key, std::optional<std::string> tenant, int64_t at) {
    RecordToWrite record{.key = std::move(key), .value = "1", .headers = {{"tenant", "nobody"}}, .timestamp_ms = at};
    record.headers.emplace_back("tenant", std::move(tenant));
    ASSERT_OK(writer.Append(*topic, partition, record));
  };
  constexpr int64_t kNoon = 1'764'331'200'000;
  append(0, "a", "x", kNoon);
  append(1, "a", "x", kNoon + 500);
  append(2, "b", "x", kNoon - 1);
  append(2, "b", std::nullopt, kNoon + 1);
  append(0, std::nullopt, "x", kNoon + 1);
  append(1, "\xff", "x", kNoon + 1);
  append(1, "c", "y", kNoon + 2000);
  ASSERT_OK(writer.Flush());
  const Job job = {.name = "keys", .topics = {*topic}, .fold = R"(  format: {delimited: {separator: "|", fields: [n]}}
  fields: {tenant: {text: 'record.headers["tenant"]', default: none}}
where: record.timestamp >= "2025-11-28T12:00:00Z"
key: [record.key, tenant]
measures: {late: sum(record.timestamp - from_unix_ms(1764331200000)), events: count()}
)"};
  ASSERT_OK(cluster_.Submit(job));
  ASSERT_OK(cluster_.VerifyPublished(job.name));
  const json last = json::parse(cluster_.Published(job.name).back());
  EXPECT_EQ(last.at("top"), json::parse(R"([
    {"rank":1,"key":["c","y"],"score":"2","measures":{"late":"2","events":"1"}},
    {"rank":2,"key":["a","x"],"score":"0.5","measures":{"late":"0.5","events":"2"}},
    {"rank":3,"key":["b","none"],"score":"0.001","measures":{"late":"0.001","events":"1"}}])"))
      << last;
  EXPECT_EQ(last.at("filtered_records"), 1);
  const absl::StatusOr<json> status = cluster_.JobStatus(job.name);
  ASSERT_OK(status.status());
  EXPECT_EQ(status->at("bad_records"), json({{"field_not_utf8", 1}, {"null_key", 1}}));
  const CliResult verified = cluster_.RunCli({"verify", job.name});
  EXPECT_EQ(verified.exit_code, 0) << verified.err;
}

TEST_F(GeneralJobTest, ABadRecordThatFailsTheJobIsNamedWithItsField) {
  absl::StatusOr<std::string> topic = CreateTopic();
  ASSERT_OK(topic.status());
  const Job job = {.name = "strict", .topics = {*topic}, .on_bad_record = "fail", .fold = kFold};
  ASSERT_OK(Produce(*topic, 1, {Event(1), R"({"page":{"url":"https://a/"},"m":{"clicks":1.5}})"}));
  ASSERT_OK(cluster_.Submit(job));
  ASSERT_OK(cluster_.WaitForState(job.name, "failed"));
  const absl::StatusOr<json> status = cluster_.JobStatus(job.name);
  ASSERT_OK(status.status());
  const std::string reason = status->at("reason");
  EXPECT_TRUE(absl::StrContains(reason, absl::StrCat(*topic, "[1] has a bad record at offset 1: clicks is no whole number")))
      << reason;
}

}  // namespace
}  // namespace tenfold
