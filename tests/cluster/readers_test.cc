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
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

constexpr absl::Duration kWait = absl::Seconds(30);
constexpr int kPartitions = 3;

// Offset, value and hash of every record of a partition, and where it ends.
struct Content {
  std::vector<std::tuple<int64_t, std::string, uint64_t>> records;
  int64_t end = -1;
};

std::map<uint32_t, Content> ReadAll(ReaderChoice kind, const std::vector<LogReader::Start>& starts, size_t read_ahead = 0) {
  const LogConfig config = {.brokers = KafkaBrokers(), .properties = {}, .read_ahead_bytes = read_ahead, .reader = kind};
  std::map<uint32_t, Content> contents;
  const absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Create(config);
  EXPECT_TRUE(reader.ok()) << reader.status();
  EXPECT_TRUE((*reader)->Assign(starts).ok());
  size_t ended = 0;
  const absl::Time deadline = absl::Now() + kWait;
  while (ended < starts.size() && absl::Now() < deadline) {
    std::vector<LogRecord> records;
    std::vector<LogReader::Event> events;
    const absl::Status polled = (*reader)->Poll(absl::Milliseconds(100), &records, &events);
    EXPECT_TRUE(polled.ok()) << polled;
    for (const LogRecord& record : records)
      contents[record.position].records.emplace_back(record.offset, record.value, (*reader)->Hash(record));
    for (const LogReader::Event& event : events) {
      EXPECT_EQ(event.kind, LogReader::Event::Kind::kEnd) << event.message;
      ended += contents[event.position].end < 0 ? 1 : 0;
      contents[event.position].end = event.next_offset;
    }
  }
  EXPECT_EQ(ended, starts.size()) << "not every end was reached";
  return contents;
}

// Says where the two differ first; "" if they do not.
std::string Difference(const std::map<uint32_t, Content>& one, const std::map<uint32_t, Content>& other) {
  for (uint32_t p = 0; p < kPartitions; ++p) {
    const Content a = one.contains(p) ? one.at(p) : Content();
    const Content b = other.contains(p) ? other.at(p) : Content();
    if (a.end != b.end) return absl::StrCat("partition ", p, " ends at ", a.end, " and ", b.end);
    const size_t both = std::min(a.records.size(), b.records.size());
    for (size_t i = 0; i < both; ++i) {
      if (a.records[i] == b.records[i]) continue;
      return absl::StrCat("record ", i, " of partition ", p, " is at ", std::get<0>(a.records[i]), " and ",
                          std::get<0>(b.records[i]), ", with hash ", std::get<2>(a.records[i]), " and ",
                          std::get<2>(b.records[i]));
    }
    if (a.records.size() != b.records.size()) {
      const auto& rest = a.records.size() > both ? a.records[both] : b.records[both];
      return absl::StrCat("partition ", p, " has ", a.records.size(), " and ", b.records.size(),
                          " records; one lacks that at ", std::get<0>(rest));
    }
  }
  return "";
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
    const std::map<uint32_t, Content> all = ReadAll(ReaderChoice::kRdkafka, starts);
    EXPECT_EQ(Difference(ReadAll(ReaderChoice::kWire, starts), all), "");
    EXPECT_EQ(Difference(ReadAll(ReaderChoice::kWire, starts, 256 << 10), all), "");
    // And from anywhere: in mid-batch, in a transaction, between two.
    for (int i = 0; i < 5; ++i) {
      std::map<uint32_t, Content> rest = all;
      for (LogReader::Start& start : starts) {
        Content& content = rest[static_cast<uint32_t>(start.partition.partition)];
        start.offset = static_cast<int64_t>(random_() % static_cast<uint64_t>(content.end + 1));
        std::erase_if(content.records, [&](const auto& record) { return std::get<0>(record) < start.offset; });
      }
      EXPECT_EQ(Difference(ReadAll(ReaderChoice::kWire, starts), rest), "");
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
