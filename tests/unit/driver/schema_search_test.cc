#include "driver/core/schema_search.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>

#include "common/limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tenfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kSecondUs = 1'000'000;

class SchemaSearchTest : public ::testing::Test {
 protected:
  static JobSubmitted Submitted() {
    JobSubmitted submitted;
    submitted.mutable_spec()->mutable_registry()->set_url("http://registry:8081");
    for (int32_t p = 0; p < 2; ++p) {
      submitted.add_partitions()->set_topic("events");
      submitted.mutable_partitions(p)->set_partition(p);
    }
    return submitted;
  }
  void Need(uint32_t id, uint32_t partition, int64_t offset) {
    google::protobuf::RepeatedPtrField<NeededSchema> needed;
    NeededSchema* const need = needed.Add();
    need->set_id(id);
    need->set_partition(partition);
    need->set_offset(offset);
    search_.Need(needed);
  }
  static LearnedSchema Schema(uint32_t id, const std::string& avro = "\"string\"") {
    LearnedSchema schema;
    schema.set_id(id);
    schema.set_avro(avro);
    return schema;
  }
  void Journal(const LearnedSchema& schema) {
    JournalRecord record;
    *record.mutable_schema_learned()->mutable_schema() = schema;
    job_.Apply(record);
    search_.OnLearned(schema.id());
  }

  JournalledJob job_{Submitted(), 0, "kafka:9092"};
  SchemaSearch search_{&job_};
};

TEST_F(SchemaSearchTest, AsksOnceForWhatSeveralNeedAndHasItJournalledOnce) {
  EXPECT_EQ(search_.waiting().kind(), WAITING_NOT);
  Need(7, 0, 12);
  Need(7, 1, 3);
  Need(2, 1, 3);
  EXPECT_THAT(search_.Begin(0), ElementsAre(2, 7));
  EXPECT_THAT(search_.Begin(kSecondUs), IsEmpty());
  EXPECT_FALSE(search_.Take());
  search_.OnAnswer(7, search_.generation(), Schema(7), kSecondUs);
  // Of a question that was put twice.
  search_.OnAnswer(7, search_.generation(), Schema(7, "\"int\""), kSecondUs);
  const std::optional<LearnedSchema> learned = search_.Take();
  ASSERT_TRUE(learned);
  EXPECT_EQ(learned->avro(), "\"string\"");
  EXPECT_FALSE(search_.Take());
  Journal(*learned);
  Need(7, 0, 12);
  EXPECT_THAT(search_.Begin(100 * kSecondUs), IsEmpty());
}

TEST_F(SchemaSearchTest, ARegistryInTroubleIsAskedAgainAndTheJobSaysSo) {
  Need(7, 1, 12);
  int64_t pause_us = kSecondUs / 2;
  for (int64_t now_us = 0; now_us < 100 * kSecondUs; now_us = search_.NextTimeUs()) {
    if (now_us > 0) {
      EXPECT_THAT(search_.Begin(now_us - 1), IsEmpty());
    }
    ASSERT_THAT(search_.Begin(now_us), ElementsAre(7));
    EXPECT_EQ(search_.NextTimeUs(), std::numeric_limits<int64_t>::max());
    search_.OnAnswer(7, search_.generation(), absl::UnavailableError("it does not answer"), now_us);
    EXPECT_FALSE(search_.Take());
    // Ever longer, up to 8 s.
    ASSERT_EQ(search_.NextTimeUs(), now_us + pause_us);
    pause_us = std::min(2 * pause_us, 8 * kSecondUs);
  }
  const Waiting waiting = search_.waiting();
  EXPECT_EQ(waiting.kind(), WAITING_SCHEMA);
  EXPECT_EQ(waiting.subject(), "http://registry:8081");
  EXPECT_EQ(waiting.partition(), 1);
  EXPECT_EQ(waiting.detail(), "schema 7, which events[1] names at offset 12: it does not answer");
}

TEST_F(SchemaSearchTest, AnIdIsUnknownOnceTheRegistryHasSaidSoForAWhile) {
  Need(7, 0, 12);
  int64_t now_us = kSecondUs;
  const auto ask = [&](const absl::StatusOr<LearnedSchema>& answer) {
    ASSERT_THAT(search_.Begin(now_us), ElementsAre(7));
    search_.OnAnswer(7, search_.generation(), answer, now_us);
  };
  for (; now_us < 6 * kSecondUs; now_us += kSecondUs / 2) {
    ask(absl::NotFoundError("there is none"));
    EXPECT_FALSE(search_.Take()) << now_us;
  }
  ask(absl::NotFoundError("there is none"));
  const std::optional<LearnedSchema> learned = search_.Take();
  ASSERT_TRUE(learned);
  EXPECT_EQ(learned->id(), 7u);
  EXPECT_EQ(learned->avro(), "");
  EXPECT_EQ(learned->problem(), "there is none");
}

TEST_F(SchemaSearchTest, AFollowerThatHasNotHeardOfASchemaYetIsAskedAgain) {
  Need(7, 0, 12);
  ASSERT_THAT(search_.Begin(0), ElementsAre(7));
  search_.OnAnswer(7, search_.generation(), absl::NotFoundError("there is none"), 0);
  ASSERT_THAT(search_.Begin(kSecondUs), ElementsAre(7));
  search_.OnAnswer(7, search_.generation(), Schema(7), kSecondUs);
  const std::optional<LearnedSchema> learned = search_.Take();
  ASSERT_TRUE(learned);
  EXPECT_EQ(learned->avro(), "\"string\"");
}

TEST_F(SchemaSearchTest, OnlyARegistryThatSaysNothingElseForAWhileIsBelieved) {
  Need(7, 0, 12);
  int64_t now_us = kSecondUs;
  const auto ask = [&](const absl::StatusOr<LearnedSchema>& answer) {
    now_us = std::max(now_us, search_.NextTimeUs());
    ASSERT_THAT(search_.Begin(now_us), ElementsAre(7));
    search_.OnAnswer(7, search_.generation(), answer, now_us);
  };
  ask(absl::NotFoundError("there is none"));
  now_us += 10 * kSecondUs;
  ask(absl::UnavailableError("it starts"));
  ask(absl::NotFoundError("there is none"));
  EXPECT_FALSE(search_.Take());
  // Nor does the time count in which the driver stood still.
  now_us += 10 * kSecondUs;
  search_.OnPaused(10 * kSecondUs);
  ask(absl::NotFoundError("there is none"));
  EXPECT_FALSE(search_.Take());
  now_us += 5 * kSecondUs;
  ask(absl::NotFoundError("there is none"));
  EXPECT_TRUE(search_.Take());
}

TEST_F(SchemaSearchTest, AfterARestartAnswersToEarlierQuestionsDoNotCount) {
  Need(7, 0, 12);
  ASSERT_THAT(search_.Begin(0), ElementsAre(7));
  const uint64_t before = search_.generation();
  search_.Restart();
  EXPECT_THAT(search_.Begin(0), ElementsAre(7));
  search_.OnAnswer(7, before, Schema(7), 0);
  EXPECT_FALSE(search_.Take());
  search_.OnAnswer(7, search_.generation(), Schema(7), 0);
  EXPECT_TRUE(search_.Take());
}

TEST_F(SchemaSearchTest, WhatAWorkerSaysNeitherAsksForAJobWithoutARegistryNorWithoutBounds) {
  for (uint32_t id = 0; id < 5 * kMaxSchemas; ++id) Need(id, 0, 1);
  EXPECT_THAT(search_.Begin(0), testing::SizeIs(kMaxSchemas + 1));
  job_.spec.clear_registry();
  SchemaSearch other(&job_);
  google::protobuf::RepeatedPtrField<NeededSchema> needed;
  needed.Add()->set_id(1);
  other.Need(needed);
  EXPECT_THAT(other.Begin(0), IsEmpty());
}

TEST_F(SchemaSearchTest, TooManySchemasStopTheJobAndNameTheRecord) {
  for (uint32_t id = 0; id < kMaxSchemas; ++id) Journal(Schema(id));
  EXPECT_EQ(search_.Failure(), "");
  Need(5000, 1, 44);
  ASSERT_THAT(search_.Begin(0), ElementsAre(5000));
  EXPECT_EQ(search_.Failure(), "");
  search_.OnAnswer(5000, search_.generation(), Schema(5000), 0);
  EXPECT_THAT(search_.Failure(), HasSubstr("events[1] has a record at offset 44 by schema 5000"));
}

TEST_F(SchemaSearchTest, TooLargeSchemasStopTheJobToo) {
  Journal(Schema(1, std::string(kMaxSchemasBytes / 2, ' ')));
  Need(2, 0, 0);
  ASSERT_THAT(search_.Begin(0), ElementsAre(2));
  search_.OnAnswer(2, search_.generation(), Schema(2, std::string(kMaxSchemasBytes / 2, ' ')), 0);
  EXPECT_THAT(search_.Failure(), HasSubstr("4194304 bytes are allowed"));
}

}  // namespace
}  // namespace tenfold
