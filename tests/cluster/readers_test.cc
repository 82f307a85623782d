// The two readers judge each other: of every shape of a topic both give the same records, with the same hashes, up to the
// same end.
#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/kafka/log.h"
#include "gtest/gtest.h"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/log_content.h"
#include "tests/cluster/mini_cluster.h"
#include "tests/cluster/record_writer.h"

namespace tenfold {
namespace {

constexpr int kPartitions = 3;
constexpr int kKeys = 20;

class ReadersTest : public testing::Test {
 protected:
  // Appends records of all shapes and sizes in batches of all sizes, plain and in transactions of which some are aborted.
  void Fill(const std::string& topic, const std::string& codec, int rounds) {
    RecordWriter plain(codec);
    RecordWriter one(codec, UniqueName("readers"));
    RecordWriter other(codec, UniqueName("readers"));
    RecordWriter* const writers[] = {&plain, &one, &other};
    for (const RecordWriter* writer : writers) ASSERT_OK(writer->status());
    for (int round = 0; round < rounds; ++round) {
      // Two transactions at a time, so that one's records lie between the other's.
      ASSERT_OK(one.Begin());
      ASSERT_OK(other.Begin());
      // Larger than what is asked for of a partition.
      if (round == 1) ASSERT_OK(Append(&one, topic, 3 << 20));
      for (size_t bursts = 1 + random_() % 4; bursts > 0; --bursts) {
        RecordWriter& writer = *writers[random_() % std::size(writers)];
        const size_t most = random_() % 4 == 0 ? 20'000 : 60;
        for (size_t i = 1 + random_() % 200; i > 0; --i) ASSERT_OK(Append(&writer, topic, most));
        ASSERT_OK(writer.Flush());
      }
      for (RecordWriter* writer : {&one, &other}) ASSERT_OK(random_() % 3 == 0 ? writer->Abort() : writer->Commit());
    }
  }

  absl::Status Append(RecordWriter* writer, const std::string& topic, size_t most_bytes) {
    RecordToWrite record = RandomRecord(&random_, kKeys, most_bytes);
    if (is_keyed_ && !record.key) record.key = "key";
    return writer->Append(topic, static_cast<int32_t>(random_() % kPartitions), record);
  }

  // The first difference between what the two readers give, empty if there is none, and all that librdkafka gives.
  struct Comparison {
    std::string difference;
    std::map<uint32_t, LogContent> all;
  };
  Comparison Compare(const std::string& topic) {
    std::vector<LogReader::Start> starts = Begins(topic, kPartitions);
    const std::map<uint32_t, LogContent> all = ReadAll(ReaderConfig(ReaderChoice::kRdkafka), starts);
    std::string difference = Difference(ReadAll(ReaderConfig(ReaderChoice::kWire), starts), all);
    if (difference.empty()) difference = Difference(ReadAll(ReaderConfig(ReaderChoice::kWire, 256 << 10), starts), all);
    // And from anywhere: in mid-batch, in a transaction, between two.
    for (int i = 0; i < 5 && difference.empty(); ++i) {
      std::map<uint32_t, LogContent> rest = all;
      for (LogReader::Start& start : starts) {
        LogContent& content = rest[static_cast<uint32_t>(start.partition.partition)];
        start.offset = static_cast<int64_t>(random_() % static_cast<uint64_t>(content.end + 1));
        std::erase_if(content.records, [&](const auto& record) { return std::get<0>(record) < start.offset; });
      }
      difference = Difference(ReadAll(ReaderConfig(ReaderChoice::kWire), starts), rest);
    }
    return {difference, all};
  }

  std::minstd_rand random_{std::random_device()()};
  // A compacted topic takes no records without keys.
  bool is_keyed_ = false;
};

TEST_F(ReadersTest, GiveTheSameOfEveryCodecAndTransaction) {
  for (const std::string codec : {"none", "gzip", "snappy", "lz4", "zstd"}) {
    SCOPED_TRACE(codec);
    const absl::StatusOr<std::string> topic = CreateTopic(kPartitions);
    ASSERT_OK(topic.status());
    ASSERT_NO_FATAL_FAILURE(Fill(*topic, codec, 6));
    EXPECT_EQ(Compare(*topic).difference, "");
  }
}

TEST_F(ReadersTest, GiveTheSameHashesOfTheBrokersTimestamps) {
  const std::string topic =
      CreateTopicAs(absl::StrCat("--partitions ", kPartitions, " --config message.timestamp.type=LogAppendTime"));
  ASSERT_NO_FATAL_FAILURE(Fill(topic, "lz4", 3));
  EXPECT_EQ(Compare(topic).difference, "");
}

size_t Records(const std::map<uint32_t, LogContent>& contents) {
  size_t records = 0;
  for (const auto& [position, content] : contents) records += content.records.size();
  return records;
}

TEST_F(ReadersTest, GiveTheSameOfWhatCompactionHasLeft) {
  const std::string topic =
      CreateTopicAs(absl::StrCat("--partitions ", kPartitions, " --config cleanup.policy=compact --config segment.ms=50 ",
                                 "--config min.cleanable.dirty.ratio=0.001 --config delete.retention.ms=50"));
  is_keyed_ = true;
  ASSERT_NO_FATAL_FAILURE(Fill(topic, "zstd", 5));
  const std::map<uint32_t, LogContent> whole = ReadAll(ReaderConfig(ReaderChoice::kRdkafka), Begins(topic, kPartitions));
  // The last segment is not compacted.
  for (int32_t p = 0; p < kPartitions; ++p) {
    RecordWriter writer("none");
    ASSERT_OK(writer.Append(topic, p, {.key = "last", .value = "last", .headers = {}}));
    ASSERT_OK(writer.Flush());
  }
  // A comparison counts that was made while nothing was compacted.
  Comparison compared;
  ASSERT_OK(WaitUntil("the log to be compacted, and to stay as it is", absl::Seconds(90), [&] {
    compared = Compare(topic);
    return Records(compared.all) < Records(whole) / 2 &&
           Difference(ReadAll(ReaderConfig(ReaderChoice::kRdkafka), Begins(topic, kPartitions)), compared.all).empty();
  }));
  EXPECT_EQ(compared.difference, "");
}

}  // namespace
}  // namespace tenfold
