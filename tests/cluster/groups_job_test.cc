// Jobs with groups and quotients: every batch and every final window as the oracle has them, while workers and the driver
// die, with memory for all totals and without.
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
constexpr int64_t kMinute = 60'000;

constexpr char kFold[] = R"(  format: {json: {}}
  fields:
    page: {text: page}
    country: {text: country, default: "?"}
    stars: {decimal: stars, nullable: true}
    ms: {decimal: ms}
    at: {timestamp: at, unit: ms}
)";

class GroupsJobTest : public ::testing::Test {
 protected:
  // Visits of some minutes from the begin on, in each of three partitions; of `pages` pages.
  static void ProduceMinutes(const std::string& topic, int64_t first, int64_t last, int pages) {
    for (int partition = 0; partition < 3; ++partition) {
      std::vector<std::string> records;
      for (int64_t minute = first; minute < last; ++minute) {
        for (int i = 0; i < 60; ++i) {
          const int64_t n = minute * 60 + i;
          const std::string stars = n % 3 == 0 ? "null" : absl::StrCat(n % 5, ".", n % 7);
          records.push_back(absl::StrCat(R"({"page":"p)", (n * 7 + partition) % pages, "\",",
                                         n % 11 == 0 ? "" : absl::StrCat(R"("country":"C)", n % 6, "\","), R"("stars":)",
                                         stars, R"(,"ms":)", n % 97 == 0 ? -1 : n % 9, R"(,"at":)",
                                         kPast + minute * kMinute + i * 1000, "}"));
        }
      }
      ASSERT_OK(Produce(topic, partition, records));
    }
  }

  MiniCluster cluster_;
};

TEST_F(GroupsJobTest, EachGroupHasATopOfItsOwnWhileWorkersAndTheDriverDie) {
  ASSERT_OK(cluster_.Start(2));
  absl::StatusOr<std::string> topic = CreateTopic();
  ASSERT_OK(topic.status());
  const Job always = {
      .name = "always",
      .topics = {*topic},
      .fold = absl::StrCat(kFold, "group: country\nkey: page\nmeasures: {stars: avg(stars), events: count()}\n",
                           "having: events >= 5\ngroups: 5\n")};
  const Job minutes = {
      .name = "minutes",
      .topics = {*topic},
      .fold = absl::StrCat(kFold, "  time: at\ngroup: country\nkey: [page, ms > 3]\n",
                           "measures: {rate: (sum(stars) + 6) / (count(stars) + 2), speed: sum(stars) / sum(ms)}\n",
                           "order: ascending\nwindow: {sliding: {size: 4m, every: 1m}, lateness: 10s}\n")};
  ASSERT_OK(cluster_.Submit(always));
  ASSERT_OK(cluster_.Submit(minutes));
  ProduceMinutes(*topic, 0, 3, 17);
  ASSERT_OK(cluster_.WaitCaughtUp(always.name).status());
  ASSERT_OK(cluster_.worker(1).Kill());
  ProduceMinutes(*topic, 3, 6, 17);
  ASSERT_OK(cluster_.WaitCaughtUp(minutes.name).status());
  ASSERT_OK(cluster_.driver().Kill());
  ASSERT_OK(cluster_.driver().Start());
  ProduceMinutes(*topic, 6, 9, 17);
  ASSERT_OK(cluster_.VerifyPublished(always.name));
  ASSERT_OK(cluster_.VerifyPublished(minutes.name));

  const json last = json::parse(cluster_.Published(always.name).back());
  EXPECT_EQ(last.at("group"), "C3");
  EXPECT_EQ(last.at("group_count"), 5) << "? and C0 to C3";
  EXPECT_EQ(last.at("groups_cut"), true);
  const absl::StatusOr<json> status = cluster_.JobStatus(minutes.name);
  ASSERT_OK(status.status());
  EXPECT_EQ(status->at("bad_subjects").at(0).at("subject"), "measures.speed") << status->at("bad_subjects");

  const CliResult one = cluster_.RunCli({"top", always.name, "--group", "C1"});
  EXPECT_TRUE(absl::StrContains(one.out, "GROUP  RANK  KEY")) << one.out << one.err;
  EXPECT_TRUE(absl::StrContains(one.out, "C1        1  p")) << one.out;
  EXPECT_FALSE(absl::StrContains(one.out, "C2")) << one.out;
  const CliResult none = cluster_.RunCli({"top", always.name, "--group", "C11"});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(none.err, "always has no group 'C11' in batch")) << none.err;
  EXPECT_TRUE(absl::StrContains(none.err, "which has the first 5 by name, and there are more")) << none.err;
  const CliResult final = cluster_.RunCli({"top", minutes.name, "--window", "2020-01-01T00:04:00Z", "--group", "?"});
  EXPECT_EQ(final.exit_code, 0) << final.err;
  EXPECT_TRUE(absl::StrContains(final.out, "final with batch")) << final.out;
}

// Far more keys than the memory has room for: then all are asked for in slices, with each batch.
TEST_F(GroupsJobTest, StaysExactWithoutMemoryForAllTotals) {
  ASSERT_OK(cluster_.driver().Start({.flags = {"--merge-memory", "1MiB"}, .fault_point = "", .instead = {}}));
  for (int worker : {0, 1}) ASSERT_OK(cluster_.worker(worker).Start());
  absl::StatusOr<std::string> topic = CreateTopic();
  ASSERT_OK(topic.status());
  const Job job = {.name = "many",
                   .topics = {*topic},
                   .fold = absl::StrCat(kFold, "group: country\nkey: concat(page, record.partition, record.offset)\n",
                                        "measures: {stars: avg(stars), rate: sum(ms) / count()}\n")};
  ASSERT_OK(cluster_.Submit(job));
  ProduceMinutes(*topic, 0, 80, 5000);
  ASSERT_OK(cluster_.WaitCaughtUp(job.name).status());
  ASSERT_OK(cluster_.worker(0).Kill());
  ASSERT_OK(cluster_.worker(0).Start());
  ProduceMinutes(*topic, 80, 100, 5000);
  ASSERT_OK(cluster_.VerifyPublished(job.name));
  const json last = json::parse(cluster_.Published(job.name).back());
  EXPECT_EQ(last.at("proof").at("rounds"), 2) << "by changes there is one";
}

}  // namespace
}  // namespace tenfold
