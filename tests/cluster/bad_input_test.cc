// Records that are no events, one of each kind: skipped and counted, or the end of the job that asks for that, and of no
// other.
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/limits.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

using nlohmann::json;

struct BadRecord {
  const char* name;
  // As status names it.
  const char* reason;
  std::string value;
};

std::vector<BadRecord> BadRecords() {
  return {
      {"Empty", "empty_record", ""},
      {"TooLarge", "record_too_large", absl::StrCat("page1|1|1|1", std::string(kMaxRecordBytes, '0'))},
      {"MissingField", "wrong_field_count", "page1|1|1"},
      {"ExtraField", "wrong_field_count", "page1|1|1|1|1"},
      {"NoSeparators", "wrong_field_count", "garbage"},
      {"EmptyKey", "empty_key", "|1|1|1"},
      {"LongKey", "key_too_long", absl::StrCat(std::string(kMaxKeyBytes + 1, 'k'), "|1|1|1")},
      {"KeyNotUtf8", "key_not_utf8", "page\xff|1|1|1"},
      {"EmptyNumber", "malformed_number", "page1||1|1"},
      {"NotANumber", "malformed_number", "page1|NaN|1|1"},
      {"Hexadecimal", "malformed_number", "page1|0x10|1|1"},
      {"DecimalComma", "malformed_number", "page1|1,5|1|1"},
      {"Space", "malformed_number", "page1| 1|1|1"},
      {"HugeExponent", "number_out_of_range", "page1|1e308|1|1"},
      {"TooManyDigits", "number_out_of_range", absl::StrCat("page1|1.", std::string(40, '1'), "|1|1")},
      {"ContributionBeyond64Bits", "number_out_of_range", "page1|1e12|1|1"},
  };
}

// Sound records of forms that are easily taken for bad ones.
std::vector<std::string> OddButSound() {
  return {"page1|+1|5.9604645E-4|-1", "page1|007|1e-60|1", absl::StrCat(std::string(kMaxKeyBytes, 'k'), "|1|1|1"),
          "s\xc3\xa9jour|1|1|0", " page 1 |0.5|0.25|-0"};
}

class BadInputTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_OK(cluster_.Start(2)); }

  Job NewJob(const std::string& name, const std::string& on_bad_record) {
    absl::StatusOr<std::string> topic = CreateTopic();
    EXPECT_OK(topic.status());
    return {.name = name, .topics = {topic.ok() ? *topic : "none"}, .on_bad_record = on_bad_record};
  }

  MiniCluster cluster_;
};

TEST_F(BadInputTest, SkippedAndCountedByPolicy) {
  const Job job = NewJob("skipping", "skip");
  ASSERT_OK(cluster_.Submit(job));
  for (const BadRecord& bad : BadRecords()) {
    ASSERT_OK(Produce(job.topics[0], 1, {"page2|1|1|1", bad.value, "page3|1|1|1"}));
  }
  ASSERT_OK(cluster_.VerifyPublished(job.name));
  EXPECT_EQ(json::parse(cluster_.Published(job.name).back()).at("bad_records"), BadRecords().size());
  std::map<std::string, int> reasons;
  for (const BadRecord& bad : BadRecords()) ++reasons[bad.reason];
  const absl::StatusOr<json> status = cluster_.JobStatus(job.name);
  ASSERT_OK(status.status());
  EXPECT_EQ(status->at("bad_records"), json(reasons));
}

TEST_F(BadInputTest, FailsTheJobOnceTooLargeAPartIsBadAndPublishesNoneOfThat) {
  const Job job = NewJob("sharing", "{fail_above: 10%}");
  std::vector<std::string> records(95, "page1|1|1|1");
  records.resize(100, "bad");
  ASSERT_OK(cluster_.Submit(job));
  for (int i = 0; i < 20; ++i) ASSERT_OK(Produce(job.topics[0], i % 3, records));
  ASSERT_OK(cluster_.VerifyPublished(job.name));
  ASSERT_OK(Produce(job.topics[0], 0, std::vector<std::string>(5000, "bad")));
  ASSERT_OK(cluster_.WaitForState(job.name, "failed"));
  const absl::StatusOr<json> status = cluster_.JobStatus(job.name);
  ASSERT_OK(status.status());
  const std::string reason = status->at("reason");
  EXPECT_TRUE(absl::StrContains(reason,
                                "records are bad, mostly wrong_field_count, more than on_bad_record.fail_above allows "
                                "(10%)"))
      << reason;
  // Batches of less than a thousand records may have come before it was looked at.
  EXPECT_LT(status->at("records"), 3000 + 1000);
}

TEST_F(BadInputTest, OddButSoundRecordsCount) {
  const Job job = NewJob("sound", "fail");
  ASSERT_OK(Produce(job.topics[0], 0, OddButSound()));
  ASSERT_OK(cluster_.Submit(job));
  ASSERT_OK(cluster_.VerifyPublished(job.name));
  EXPECT_EQ(json::parse(cluster_.Published(job.name).back()).at("records"), OddButSound().size());
}

TEST_F(BadInputTest, StatusKeepsTheFirstOnesAsSamples) {
  const Job job = NewJob("skipping", "skip");
  ASSERT_OK(Produce(job.topics[0], 2, {"page2|1|1|1", "first-bad-one", "second|bad|one"}));
  ASSERT_OK(cluster_.Submit(job));
  ASSERT_OK(cluster_.WaitCaughtUp(job.name).status());
  absl::StatusOr<json> status = cluster_.JobStatus(job.name);
  ASSERT_OK(status.status());
  for (const char* sample : {"first-bad-one", "second|bad|one"}) {
    EXPECT_TRUE(absl::StrContains(status->dump(), sample)) << sample << " is not in " << *status;
  }
}

TEST_F(BadInputTest, FailsTheJobByPolicyNamingThePlace) {
  const std::vector<BadRecord> kinds = BadRecords();
  std::vector<Job> jobs;
  for (size_t i = 0; i < kinds.size(); ++i) {
    jobs.push_back(NewJob(absl::StrCat("failing-", i), "fail"));
    ASSERT_OK(Produce(jobs[i].topics[0], 2, std::vector<std::string>(37, "page1|1|1|1")));
    ASSERT_OK(Produce(jobs[i].topics[0], 2, {kinds[i].value}));
    ASSERT_OK(cluster_.Submit(jobs[i]));
  }
  for (size_t i = 0; i < kinds.size(); ++i) {
    SCOPED_TRACE(kinds[i].name);
    ASSERT_OK(cluster_.WaitForState(jobs[i].name, "failed"));
    absl::StatusOr<json> status = cluster_.JobStatus(jobs[i].name);
    ASSERT_OK(status.status());
    const std::string reason = status->at("reason");
    EXPECT_TRUE(absl::StrContains(reason, jobs[i].topics[0])) << reason;
    const std::string place = absl::StrReplaceAll(reason, {{jobs[i].topics[0], ""}});
    EXPECT_TRUE(absl::StrContains(place, "2")) << "no partition: " << reason;
    EXPECT_TRUE(absl::StrContains(place, "37")) << "no offset: " << reason;
    for (const std::string& line : cluster_.Published(jobs[i].name)) {
      EXPECT_EQ(json::parse(line).at("bad_records"), 0) << "published what it failed on: " << line;
    }
  }
}

TEST_F(BadInputTest, TopicCreatedAgainAndAlreadyLongerFailsTheJob) {
  const Job job = NewJob("renewed", "skip");
  ASSERT_OK(ProduceSample(job.topics[0], 3, 1, 300));
  ASSERT_OK(cluster_.Submit(job));
  ASSERT_OK(cluster_.WaitCaughtUp(job.name).status());
  CreateTopicAgain(job.topics[0], 3);
  ASSERT_OK(ProduceSample(job.topics[0], 3, 2, 600));
  Load load(job.topics[0], 3, 300);
  ASSERT_OK(cluster_.WaitForState(job.name, "failed"));
  ASSERT_OK(load.Stop());
  const std::string reason = cluster_.JobStatus(job.name).value().at("reason");
  EXPECT_TRUE(absl::StrContains(reason, job.topics[0])) << reason;
  EXPECT_TRUE(absl::StrContains(reason, "created again")) << reason;
  EXPECT_EQ(absl::StrContains(reason, "its id is "), !ReadsWithLibrdkafka()) << reason;
}

TEST_F(BadInputTest, TopicCreatedAgainWithFewerPartitionsFailsTheJob) {
  const Job job = NewJob("fewer", "skip");
  // The partition that is there again has no records, so that it is no shorter than it was.
  for (const int32_t partition : {1, 2}) ASSERT_OK(Produce(job.topics[0], partition, {"page1|1|1|1"}));
  ASSERT_OK(cluster_.Submit(job));
  ASSERT_OK(cluster_.WaitCaughtUp(job.name).status());
  CreateTopicAgain(job.topics[0], 1);
  ASSERT_OK(cluster_.WaitForState(job.name, "failed"));
  const std::string reason = cluster_.JobStatus(job.name).value().at("reason");
  EXPECT_TRUE(absl::StrContains(reason, job.topics[0] + "[1] no longer exists")) << reason;
  EXPECT_TRUE(absl::StrContains(reason, "Cancel the job")) << reason;
}

TEST_F(BadInputTest, FailedJobLeavesOthersRunning) {
  const Job failing = NewJob("failing", "fail"), sound = NewJob("sound", "fail");
  ASSERT_OK(cluster_.Submit(failing));
  ASSERT_OK(cluster_.Submit(sound));
  ASSERT_OK(ProduceSample(sound.topics[0], 3, 1, 300));
  ASSERT_OK(Produce(failing.topics[0], 0, {"garbage"}));
  ASSERT_OK(cluster_.WaitForState(failing.name, "failed"));
  ASSERT_OK(ProduceSample(sound.topics[0], 3, 2, 300));
  ASSERT_OK(cluster_.VerifyPublished(sound.name));
  EXPECT_EQ(json::parse(cluster_.Published(sound.name).back()).at("records"), 600);
}

TEST_F(BadInputTest, FailedJobStaysFailedWhenAllStartAgain) {
  const Job job = NewJob("failing", "fail");
  ASSERT_OK(cluster_.Submit(job));
  ASSERT_OK(Produce(job.topics[0], 0, {"garbage"}));
  ASSERT_OK(cluster_.WaitForState(job.name, "failed"));
  for (Daemon* daemon : {&cluster_.driver(), &cluster_.worker(0), &cluster_.worker(1)}) ASSERT_OK(daemon->Kill());
  ASSERT_OK(cluster_.Start(2));
  absl::StatusOr<json> status = cluster_.JobStatus(job.name);
  ASSERT_OK(status.status());
  EXPECT_EQ(status->at("state"), "failed");
}

}  // namespace
}  // namespace tenfold
