// Jobs whose records name schemas of a registry, a real one: every batch as the oracle has it by what is journalled of them
// (rule L1 of the job language), whatever the registry says later.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/process/process.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "jobs/feed/avro_encoding.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"
#include "tests/cluster/registry_server.h"

namespace tenfold {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr char kFirst[] =
    R"({"type":"record","name":"Click","fields":[{"name":"page","type":"string"},{"name":"clicks","type":"long"}]})";
// With its fields the other way round, one more, and a type of another schema.
constexpr char kSite[] = R"({"type":"record","name":"Site","namespace":"web","fields":[{"name":"host","type":"string"}]})";
constexpr char kSecond[] =
    R"({"type":"record","name":"Click","fields":[{"name":"clicks","type":"long"},{"name":"page","type":"string"},)"
    R"({"name":"site","type":"web.Site"}]})";

std::string Header(uint32_t id) {
  std::string bytes(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(id >> shift & 0xff);
  return bytes;
}

std::string First(uint32_t id, const std::string& page, int64_t clicks) {
  std::string record = Header(id);
  AppendAvroText(page, &record);
  AppendAvroLong(clicks, &record);
  return record;
}

std::string Second(uint32_t id, const std::string& page, int64_t clicks, const std::string& host) {
  std::string record = Header(id);
  AppendAvroLong(clicks, &record);
  AppendAvroText(page, &record);
  AppendAvroText(host, &record);
  return record;
}

class RegistryJobTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<std::string> topic = CreateTopic();
    ASSERT_OK(topic.status());
    topic_ = *topic;
    job_ = {.name = "by-registry",
            .topics = {topic_},
            .fold = absl::StrCat("  format: {avro: {registry: \"", registry_.url(), R"("}}
  fields:
    page: {text: page}
    host: {text: site.host, default: "?"}
    clicks: {integer: clicks}
key: [host, page]
score: clicks
)")};
    ASSERT_OK(cluster_.Start(2));
  }

  // Every batch so far is what the oracle has, by what the journal says of schemas.
  void VerifyAll() {
    absl::StatusOr<json> last = cluster_.WaitCaughtUp(job_.name);
    ASSERT_OK(last.status());
    for (int batch = 1; batch <= last->at("batch").get<int>(); ++batch) {
      const CliResult verified = cluster_.RunCliWhenKafkaAnswers({"verify", job_.name, "--batch", std::to_string(batch)});
      ASSERT_EQ(verified.exit_code, kExitOk) << batch << verified.out << verified.err;
    }
  }
  json Top() {
    const absl::StatusOr<json> last = cluster_.WaitCaughtUp(job_.name);
    json top = json::object();
    if (!last.ok()) return last.status().ToString();
    for (const json& entry : last->at("top"))
      top[absl::StrCat(entry.at("key").at(0).get<std::string>(), "/", entry.at("key").at(1).get<std::string>())] =
          entry.at("score");
    return top;
  }
  json Bad() {
    const absl::StatusOr<json> status = cluster_.JobStatus(job_.name);
    return status.ok() ? status->at("bad_records") : json(status.status().ToString());
  }

  MiniCluster cluster_;
  RegistryServer registry_{testing::TempDir() + "/registry-" + std::to_string(getpid())};
  std::string topic_;
  Job job_;
};

TEST_F(RegistryJobTest, ReadsEachRecordByTheSchemaThatItNamesWhileWorkersAndTheDriverDie) {
  ASSERT_OK(registry_.Start());
  const absl::StatusOr<uint32_t> first = registry_.Register("clicks", kFirst);
  ASSERT_OK(first.status());
  ASSERT_OK(Produce(topic_, 0, {First(*first, "a", 3), First(*first, "b", 1)}));
  ASSERT_OK(cluster_.Submit(job_));
  EXPECT_EQ(Top(), json::parse(R"({"?/a":"3","?/b":"1"})"));
  ASSERT_OK(registry_.Register("site", kSite).status());
  const absl::StatusOr<uint32_t> second =
      registry_.Register("clicks", kSecond, {{.name = "web.Site", .subject = "site", .version = 1}});
  ASSERT_OK(second.status());
  ASSERT_OK(cluster_.worker(0).Kill());
  ASSERT_OK(Produce(topic_, 0, {Second(*second, "a", 5, "x"), First(*first, "a", 1)}));
  ASSERT_OK(Produce(topic_, 1, {Second(*second, "c", 7, "x"), Second(*second, "a", 1, "y"), "no header"}));
  EXPECT_EQ(Top(), json::parse(R"({"x/c":"7","x/a":"5","?/a":"4","?/b":"1","y/a":"1"})"));
  ASSERT_OK(cluster_.worker(0).Start());
  // What was learned stays, though the registry is gone.
  registry_.Stop();
  ASSERT_OK(cluster_.driver().Kill());
  ASSERT_OK(cluster_.driver().Start());
  ASSERT_OK(Produce(topic_, 2, {Second(*second, "c", 1, "x"), First(*first, "b", 9)}));
  EXPECT_EQ(Top(), json::parse(R"({"?/b":"10","x/c":"8","x/a":"5","?/a":"4","y/a":"1"})"));
  EXPECT_EQ(Bad(), json({{"malformed_record", 1}}));
  VerifyAll();
}

TEST_F(RegistryJobTest, APartitionWaitsForARegistryThatDoesNotAnswerAndOthersGoOn) {
  const std::string by_hand = First(1, "a", 3);
  ASSERT_OK(Produce(topic_, 0, {"no header", by_hand}));
  ASSERT_OK(Produce(topic_, 1, {"no header either"}));
  ASSERT_OK(cluster_.Submit(job_));
  ASSERT_OK(WaitUntil("what the job waits for", absl::Seconds(20), [this] {
    const CliResult status = cluster_.RunCli({"status", job_.name});
    return absl::StrContains(
        status.out, absl::StrCat("waiting for the registry ", registry_.url(), " to tell of schema 1, which ", topic_,
                                 "[0] names at offset 1: the registry does not answer: "));
  }));
  // Both others are in.
  ASSERT_OK(cluster_.WaitForBatches(job_.name, 1));
  EXPECT_EQ(Bad(), json({{"malformed_record", 2}}));
  ASSERT_OK(registry_.Start());
  const absl::StatusOr<uint32_t> id = registry_.Register("clicks", kFirst);
  ASSERT_OK(id.status());
  EXPECT_EQ(*id, 1u);
  EXPECT_EQ(Top(), json::parse(R"({"?/a":"3"})"));
  VerifyAll();
}

TEST_F(RegistryJobTest, AnIdThatTheRegistryDoesNotHaveStaysUnknownUntilARefold) {
  ASSERT_OK(registry_.Start());
  ASSERT_OK(Produce(topic_, 0, {First(1, "a", 3)}));
  ASSERT_OK(cluster_.Submit(job_));
  ASSERT_OK(cluster_.WaitCaughtUp(job_.name).status());
  EXPECT_EQ(Bad(), json({{"unknown_schema", 1}}));
  const absl::StatusOr<uint32_t> id = registry_.Register("clicks", kFirst);
  ASSERT_OK(id.status());
  ASSERT_EQ(*id, 1u);
  ASSERT_OK(Produce(topic_, 1, {First(1, "b", 4)}));
  ASSERT_OK(cluster_.worker(0).Kill());
  ASSERT_OK(cluster_.worker(0).LoseDisk());
  ASSERT_OK(cluster_.worker(0).Start());
  ASSERT_OK(cluster_.WaitCaughtUp(job_.name).status());
  EXPECT_EQ(Bad(), json({{"unknown_schema", 2}}));
  const CliResult shown = cluster_.RunCli({"status", job_.name});
  EXPECT_THAT(shown.out, HasSubstr("schemas     none known yet; 1: the registry has no schema by this id\n"));
  VerifyAll();
  // With the spec as it is.
  ASSERT_OK(cluster_.Refold(job_));
  EXPECT_EQ(Top(), json::parse(R"({"?/b":"4","?/a":"3"})"));
  VerifyAll();
}

}  // namespace
}  // namespace tenfold
