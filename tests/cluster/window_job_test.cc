// Jobs with windows: every batch and every final window as the oracle has them, while workers and the driver die.
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

// 2026-10-24T00:00Z; a day later clocks are put back in Berlin.
constexpr int64_t kBegin = 1'792'800'000'000;
constexpr int64_t kHour = 3'600'000;
// 2020-01-01T00:00Z, long ago by any clock.
constexpr int64_t kPast = 1'577'836'800'000;

std::string Event(int page, int clicks, int64_t at_ms) {
  return absl::StrCat(R"({"page":"p)", page, R"(","clicks":)", clicks, R"(,"at":)", at_ms, "}");
}

class WindowJobTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(cluster_.Start(2)); }

  // Events of some hours from the begin on, in each of three partitions, of which some are late.
  void ProduceHours(const std::string& topic, int64_t first, int64_t last) {
    for (int partition = 0; partition < 3; ++partition) {
      std::vector<std::string> records;
      for (int64_t hour = first; hour < last; ++hour) {
        for (int i = 0; i < 40; ++i) {
          const int64_t back = i % 9 == 0 ? (i % 5) * kHour : 0;
          records.push_back(Event((i * 7 + partition) % 13, i % 5, kBegin + hour * kHour + i * 80'000 - back));
        }
      }
      records.emplace_back(R"({"page":"p1","clicks":1})");
      ASSERT_OK(Produce(topic, partition, records));
    }
  }

  static Job MakeJob(const std::string& name, const std::string& topic, const std::string& window) {
    return {.name = name,
            .topics = {topic},
            .fold = absl::StrCat(R"(  format: {json: {}}
  fields: {page: {text: page}, clicks: {integer: clicks}, at: {timestamp: at, unit: ms}}
  time: at
where: clicks > 0
key: page
measures: {score: sum(clicks), events: count()}
window: )",
                                 window, "\n")};
  }

  MiniCluster cluster_;
};

TEST_F(WindowJobTest, FinalsComeOnceAndStayExactWhileWorkersAndTheDriverDie) {
  absl::StatusOr<std::string> topic = CreateTopic();
  ASSERT_OK(topic.status());
  const Job days = MakeJob("days", *topic, "{tumbling: 1d, zone: Europe/Berlin, lateness: 1h, ahead: 10000h}");
  const Job sliding = MakeJob("sliding", *topic, "{sliding: {size: 6h, every: 1h}, lateness: 30m, ahead: 10000h}");
  ASSERT_OK(cluster_.Submit(days));
  ASSERT_OK(cluster_.Submit(sliding));
  ProduceHours(*topic, 0, 10);
  ASSERT_OK(cluster_.WaitCaughtUp(days.name).status());
  ASSERT_OK(cluster_.worker(1).Kill());
  ProduceHours(*topic, 10, 30);
  ASSERT_OK(cluster_.WaitCaughtUp(sliding.name).status());
  ASSERT_OK(cluster_.driver().Kill());
  ASSERT_OK(cluster_.driver().Start());
  ProduceHours(*topic, 30, 60);
  ASSERT_OK(cluster_.VerifyPublished(days.name));
  ASSERT_OK(cluster_.VerifyPublished(sliding.name));

  std::vector<std::string> finals;
  for (const std::string& line : cluster_.Published(days.name)) {
    const json parsed = json::parse(line);
    if (parsed.at("window").is_object() && parsed.at("window").at("final") == true)
      finals.push_back(parsed.at("window").at("end"));
  }
  // The 24th, and the 25th, which has 25 hours.
  EXPECT_EQ(finals, (std::vector<std::string>{"2026-10-24T22:00:00.000Z", "2026-10-25T23:00:00.000Z"}));
  const json last = json::parse(cluster_.Published(days.name).back());
  EXPECT_GT(last.at("late_records"), 0);
  EXPECT_EQ(last.at("bad_records"), 9);
  for (const Job* job : {&days, &sliding}) {
    const CliResult verified = cluster_.RunCli({"verify", job->name});
    EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
  }
  const CliResult shown = cluster_.RunCli({"top", days.name});
  EXPECT_TRUE(absl::StrContains(shown.out, "now: 2026-10-26\n")) << shown.out;
  const CliResult first = cluster_.RunCli({"top", days.name, "--window", "2026-10-24"});
  EXPECT_TRUE(absl::StrContains(first.out, "final with batch ")) << first.out << first.err;
  const CliResult second = cluster_.RunCli({"top", days.name, "--window", "2026-10-25T12:00:00Z", "-o", "json"});
  EXPECT_TRUE(absl::StrContains(second.out, R"("end":"2026-10-25T23:00:00.000Z","final":true)")) << second.out << second.err;
  const CliResult open = cluster_.RunCli({"top", days.name, "--window", "2026-10-27"});
  EXPECT_EQ(open.exit_code, 1);
  EXPECT_EQ(open.err, "tenfold: the window 2026-10-27 of days is neither final nor the current one, which is 2026-10-26\n");
  const CliResult none = cluster_.RunCli({"top", days.name, "--window", "2026-10-01"});
  EXPECT_EQ(none.err, "tenfold: the window 2026-10-01 of days has no records\n");
  const CliResult status = cluster_.RunCli({"status", days.name});
  EXPECT_TRUE(absl::StrContains(status.out, "final       up to 2026-10-25\n")) << status.out;
}

// Whatever windows a refold brings: what ends when or before one that was final is not final again.
TEST_F(WindowJobTest, NoTimeIsFinalTwiceWhereAJobIsRefolded) {
  absl::StatusOr<std::string> topic = CreateTopic();
  ASSERT_OK(topic.status());
  Job job = MakeJob("refolded", *topic, "{tumbling: 1h, lateness: 30m, ahead: 10000h}");
  ASSERT_OK(cluster_.Submit(job));
  int64_t hour = 0;
  const auto go_on = [&] {
    ProduceHours(*topic, hour, hour + 9);
    hour += 9;
    ASSERT_OK(cluster_.WaitCaughtUp(job.name).status());
  };
  ASSERT_NO_FATAL_FAILURE(go_on());
  job.fold.replace(job.fold.find("clicks > 0"), 10, "clicks > 1");
  ASSERT_OK(cluster_.Refold(job));
  ASSERT_NO_FATAL_FAILURE(go_on());
  for (const char* window : {"{tumbling: 4h, lateness: 0s, ahead: 10000h}", "{tumbling: 30m, lateness: 1h, ahead: 10000h}",
                             "{sliding: {size: 3h, every: 1h}, lateness: 0s, ahead: 10000h}"}) {
    job.fold = MakeJob(job.name, *topic, window).fold;
    ASSERT_OK(cluster_.Refold(job));
    ASSERT_OK(cluster_.worker(1).Kill());
    ASSERT_NO_FATAL_FAILURE(go_on());
    ASSERT_OK(cluster_.worker(1).Start());
  }
  ASSERT_OK(cluster_.VerifyPublished(job.name));
  // Windows of before are shown as they were then.
  for (const char* end : {"2026-10-24T03:00:00.000Z", "2026-10-24T13:00:00.000Z"}) {
    const std::string begin = absl::StrCat(std::string(end).substr(0, 11), end[12] == '3' && end[11] == '0' ? "02" : "12");
    const CliResult shown = cluster_.RunCli({"top", job.name, "--window", begin + ":00:00Z", "-o", "json"});
    EXPECT_TRUE(absl::StrContains(shown.out, absl::StrCat(R"("end":")", end, R"(","final":true)")))
        << shown.out << shown.err;
  }
}

// Rule W4: a partition that falls silent holds windows back, until the spec's time has gone by.
TEST_F(WindowJobTest, WindowsAreFinalByDecreeWhereAPartitionIsIdle) {
  absl::StatusOr<std::string> topic = CreateTopic();
  ASSERT_OK(topic.status());
  Job job = MakeJob("idle", *topic, "{tumbling: 1h, lateness: 0s, ahead: 1000000h}");
  ASSERT_OK(cluster_.Submit(job));
  ASSERT_OK(Produce(*topic, 0, {Event(1, 2, kPast), Event(2, 2, kPast + 3 * kHour)}));
  ASSERT_OK(Produce(*topic, 1, {Event(1, 5, kPast)}));
  ASSERT_OK(cluster_.WaitCaughtUp(job.name).status());
  const auto finals = [&] {
    std::vector<json> windows;
    for (const std::string& line : cluster_.Published(job.name)) {
      const json window = json::parse(line).at("window");
      if (window.is_object() && window.at("final") == true) windows.push_back(window);
    }
    return windows;
  };
  EXPECT_TRUE(finals().empty());
  job = MakeJob("idle", *topic, "{tumbling: 1h, lateness: 0s, ahead: 1000000h, idle: 300ms}");
  ASSERT_OK(cluster_.Update(job));
  // Both partitions and the third, which never had a record, are idle, and the records are of times long ago.
  ASSERT_OK(WaitUntil("windows to be final", absl::Seconds(30), [&] { return finals().size() == 2; }));
  EXPECT_EQ(finals()[0].at("end"), "2020-01-01T01:00:00.000Z");
  EXPECT_EQ(finals()[0].at("decreed"), true);
  // What a partition brings for them that is not idle any more is not seen.
  ASSERT_OK(Produce(*topic, 1, {Event(1, 5, kPast)}));
  const CliResult top = cluster_.RunCli({"top", job.name, "--caught-up"});
  EXPECT_TRUE(absl::StrContains(top.out, "4 records")) << top.out << top.err;
  EXPECT_EQ(finals().size(), 2);
  const CliResult verified = cluster_.RunCli({"verify", job.name});
  EXPECT_EQ(verified.exit_code, 0) << verified.out << verified.err;
}

}  // namespace
}  // namespace tenfold
