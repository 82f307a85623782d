// The checker of published streams against streams with each fault that it is there to find.
#include "tests/cluster/published_stream.h"

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "jobs/spec/job_spec.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

using nlohmann::json;

// Two partitions, and what a right cluster publishes of them in three batches.
class PublishedStreamTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<std::string> topic = CreateTopic(2);
    ASSERT_OK(topic.status());
    ASSERT_OK(Produce(*topic, 0, {"a|1|0.5|1", "b|1|0|0", "garbage"}));
    ASSERT_OK(Produce(*topic, 1, {"b|2|0|1"}));
    ASSERT_TRUE(ReadJobSpec(SpecText({.topics = {*topic}, .top = 2}), &spec_).empty());
    batches_ = {
        Batch(*topic, 1, {0, 0}, 0, 0, 0, {{"page1", "0"}, {"quiet-page", "-1.5"}}),
        Batch(*topic, 2, {1, 0}, 1, 0, 1, {{"a", "2.2"}, {"page1", "0"}}),
        Batch(*topic, 3, {3, 1}, 4, 1, 3, {{"b", "3.4"}, {"a", "2.2"}}),
    };
  }

  static json Batch(const std::string& topic, int number, const std::vector<int64_t>& offsets, int records, int bad_records,
                    int batch_records, const std::vector<std::pair<std::string, std::string>>& scores) {
    json batch = {{"job", "popularity"},
                  {"job_id", "id"},
                  {"batch", number},
                  {"published_at", "2026-01-01T00:00:00.000Z"},
                  {"records", records},
                  {"bad_records", bad_records},
                  {"batch_records", batch_records}};
    for (size_t i = 0; i < offsets.size(); ++i) {
      batch["offsets"].push_back({{"topic", topic}, {"partition", i}, {"next_offset", offsets[i]}});
    }
    for (const auto& [key, score] : scores) {
      batch["top"].push_back({{"rank", batch["top"].size() + 1}, {"key", key}, {"score", score}});
    }
    return batch;
  }

  absl::Status Check() const {
    std::vector<std::string> lines;
    for (const json& batch : batches_) lines.push_back(batch.dump());
    return CheckPublished(KafkaBrokers(), spec_, lines);
  }

  void ExpectFound(const std::string& fault) const {
    const absl::Status checked = Check();
    EXPECT_FALSE(checked.ok());
    EXPECT_TRUE(absl::StrContains(checked.message(), fault)) << checked;
  }

  JobSpec spec_;
  std::vector<json> batches_;
};

TEST_F(PublishedStreamTest, RightStreamIsRight) { EXPECT_OK(Check()); }

TEST_F(PublishedStreamTest, FindsABatchPublishedTwice) {
  batches_.insert(batches_.begin() + 1, batches_[1]);
  ExpectFound("batch 3: its number is 2");
}

TEST_F(PublishedStreamTest, FindsAGap) {
  batches_.erase(batches_.begin() + 1);
  ExpectFound("batch 2: its number is 3");
}

TEST_F(PublishedStreamTest, FindsAMissingFirstBatch) {
  batches_.erase(batches_.begin());
  ExpectFound("batch 1: its number is 2");
}

TEST_F(PublishedStreamTest, FindsNothingPublished) {
  batches_.clear();
  ExpectFound("published nothing");
}

TEST_F(PublishedStreamTest, FindsTheLastDigitOfAScore) {
  batches_[2]["top"][0]["score"] = "3.400000001";
  ExpectFound("batch 3: top");
}

TEST_F(PublishedStreamTest, FindsAScoreInAnotherForm) {
  batches_[2]["top"][0]["score"] = "3.40";
  ExpectFound("batch 3: top");
}

TEST_F(PublishedStreamTest, FindsAMissingRow) {
  batches_[1]["top"].erase(1);
  ExpectFound("batch 2: top");
}

TEST_F(PublishedStreamTest, FindsAWrongRecordCount) {
  batches_[2]["records"] = 5;
  ExpectFound("batch 3: records");
}

TEST_F(PublishedStreamTest, FindsAnUncountedBadRecord) {
  batches_[2]["bad_records"] = 0;
  ExpectFound("batch 3: bad_records");
}

TEST_F(PublishedStreamTest, FindsAWrongBatchRecordCount) {
  batches_[2]["batch_records"] = 4;
  ExpectFound("batch 3: batch_records");
}

TEST_F(PublishedStreamTest, FindsAnOffsetThatGoesBack) {
  batches_[1]["offsets"][0]["next_offset"] = 3;
  batches_[2]["offsets"][0]["next_offset"] = 1;
  ExpectFound("batch 3 goes back");
}

TEST_F(PublishedStreamTest, FindsABatchThatMovesNothing) {
  json again = batches_[2];
  again["batch"] = 4;
  again["batch_records"] = 0;
  batches_.push_back(again);
  ExpectFound("batch 4 moves no offset");
}

TEST_F(PublishedStreamTest, FindsAnotherJobsBatch) {
  batches_[1]["job"] = "other";
  ExpectFound("batch 2: job");
}

TEST_F(PublishedStreamTest, FindsAnotherJobId) {
  batches_[1]["job_id"] = "other";
  ExpectFound("batch 2: job_id");
}

TEST_F(PublishedStreamTest, FindsALineThatIsNoBatch) {
  batches_[1] = json("torn");
  ExpectFound("not a batch");
}

}  // namespace
}  // namespace tenfold
