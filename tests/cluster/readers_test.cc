// The two readers judge each other: of every shape of a topic both give the same records, with the same hashes, up to the
// same end.
#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/kafka/log.h"
#include "gtest/gtest.h"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/log_content.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

constexpr absl::Duration kWait = absl::Seconds(30);
constexpr int kPartitions = 3;

LogConfig Config(ReaderChoice reader, size_t read_ahead = 0) {
  return {.brokers = KafkaBrokers(), .properties = {}, .read_ahead_bytes = read_ahead, .reader = reader};
}

class ReadersTest : public testing::Test {
 protected:
  // Appends records of all sizes in batches of all sizes, plain and in transactions of which some are aborted.
  void Fill(const std::string& topic, const std::string& codec, int rounds) {
    std::vector<std::unique_ptr<LogWriter>> writers;
    for (int i = 0; i < 3; ++i) {
      const LogConfig config = {.brokers = KafkaBrokers(),
                                .properties = {{"compression.codec", codec}, {"linger.ms", absl::StrCat(random_() % 5)}}};
      LogWriter::Options options;
      if (i > 0) options.transactional_id = UniqueName("readers");
      absl::StatusOr<std::unique_ptr<LogWriter>> writer = LogWriter::Create(config, options);
      ASSERT_TRUE(writer.ok()) << writer.status();
      writers.push_back(*std::move(writer));
    }
    for (int round = 0; round < rounds; ++round) {
      // Two transactions at a time, so that one's records lie between the other's.
      ASSERT_TRUE(writers[1]->BeginTransaction().ok());
      ASSERT_TRUE(writers[2]->BeginTransaction().ok());
      for (size_t bursts = 1 + random_() % 4; bursts > 0; --bursts) {
        LogWriter& writer = *writers[random_() % writers.size()];
        const size_t most = random_() % 4 == 0 ? 20'000 : 60;
        for (size_t i = 1 + random_() % 200; i > 0; --i) {
          ASSERT_TRUE(writer.Append(topic, static_cast<int32_t>(random_() % kPartitions), Value(most)).ok());
        }
        ASSERT_TRUE(writer.Flush(kWait).ok());
      }
      for (size_t i = 1; i < writers.size(); ++i) {
        const absl::Status ended =
            random_() % 3 == 0 ? writers[i]->AbortTransaction(kWait) : writers[i]->CommitTransaction(kWait);
        ASSERT_TRUE(ended.ok()) << ended;
      }
    }
  }

  std::string Value(size_t most) {
    std::string value(random_() % (most + 1), 'x');
    for (char& byte : value) byte = static_cast<char>('a' + random_() % 26);
    return value;
  }

  void ExpectSame(const std::string& topic) {
    std::vector<LogReader::Start> starts;
    for (int32_t p = 0; p < kPartitions; ++p) starts.push_back({{topic, p}, 0});
    const std::map<uint32_t, LogContent> all = ReadAll(Config(ReaderChoice::kRdkafka), starts);
    EXPECT_EQ(Difference(ReadAll(Config(ReaderChoice::kWire), starts), all), "");
    EXPECT_EQ(Difference(ReadAll(Config(ReaderChoice::kWire, 256 << 10), starts), all), "");
    // And from anywhere: in mid-batch, in a transaction, between two.
    for (int i = 0; i < 5; ++i) {
      std::map<uint32_t, LogContent> rest = all;
      for (LogReader::Start& start : starts) {
        LogContent& content = rest[static_cast<uint32_t>(start.partition.partition)];
        start.offset = static_cast<int64_t>(random_() % static_cast<uint64_t>(content.end + 1));
        std::erase_if(content.records, [&](const auto& record) { return std::get<0>(record) < start.offset; });
      }
      EXPECT_EQ(Difference(ReadAll(Config(ReaderChoice::kWire), starts), rest), "");
    }
  }

  std::minstd_rand random_{std::random_device()()};
};

TEST_F(ReadersTest, GiveTheSameOfEveryCodecAndTransaction) {
  for (const std::string codec : {"none", "gzip", "snappy", "lz4", "zstd"}) {
    SCOPED_TRACE(codec);
    const absl::StatusOr<std::string> topic = CreateTopic(kPartitions);
    ASSERT_OK(topic.status());
    ASSERT_NO_FATAL_FAILURE(Fill(*topic, codec, 6));
    ExpectSame(*topic);
  }
}

TEST_F(ReadersTest, GiveTheSameHashesOfTheBrokersTimestamps) {
  const std::string topic =
      CreateTopicAs(absl::StrCat("--partitions ", kPartitions, " --config message.timestamp.type=LogAppendTime"));
  ASSERT_NO_FATAL_FAILURE(Fill(topic, "lz4", 3));
  ExpectSame(topic);
}

}  // namespace
}  // namespace tenfold
