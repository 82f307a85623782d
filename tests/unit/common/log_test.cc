#include "common/kafka/log.h"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/common/log_fixture.h"

namespace tenfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Event = LogReader::Event;

class LogTest : public testing::Test {
 protected:
  void SetUp() override {
    broker_ = EmbeddedBroker::Start(kTopic, 3).value();
    writer_ = LogWriter::Create(At(broker_->brokers()), {}).value();
    reader_ = LogReader::Create(At(broker_->brokers())).value();
    client_ = LogClient::Create(At(broker_->brokers())).value();
  }

  // Values are "PARTITION-OFFSET" if the partition was empty.
  void Write(int32_t partition, int count) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(writer_->Append(kTopic, partition, absl::StrCat(partition, "-", i)).ok());
    ASSERT_TRUE(writer_->Flush(kTimeout).ok());
  }

  std::unique_ptr<EmbeddedBroker> broker_;
  std::unique_ptr<LogWriter> writer_;
  std::unique_ptr<LogReader> reader_;
  std::unique_ptr<LogClient> client_;
};

TEST_F(LogTest, ReadsEveryPartitionInOrderUpToItsEnd) {
  for (int32_t partition : {0, 1, 2}) Write(partition, 1000 + partition);
  ASSERT_TRUE(reader_->Assign({{{kTopic, 2}, 0}, {{kTopic, 0}, 0}, {{kTopic, 1}, 7}}).ok());
  const Found found = PollUntil(reader_.get(), Events(3));

  const std::vector<int32_t> partitions = {2, 0, 1};
  for (uint32_t position = 0; position < 3; ++position) {
    const int32_t partition = partitions[position];
    const int64_t begin = partition == 1 ? 7 : 0;
    const auto& records = found.records.at(position);
    ASSERT_EQ(records.size(), static_cast<size_t>(1000 + partition - begin));
    for (int64_t i = 0; i < static_cast<int64_t>(records.size()); ++i) {
      EXPECT_EQ(records[static_cast<size_t>(i)], std::make_pair(begin + i, absl::StrCat(partition, "-", begin + i)));
    }
  }
  std::map<uint32_t, int64_t> ends;
  for (const Event& event : found.events) {
    EXPECT_EQ(event.kind, Event::Kind::kEnd);
    ends[event.position] = event.next_offset;
  }
  EXPECT_THAT(ends, ElementsAre(std::make_pair(0u, 1002), std::make_pair(1u, 1000), std::make_pair(2u, 1001)));
}

TEST_F(LogTest, ReportsTheEndAgainAfterMoreRecords) {
  ASSERT_TRUE(reader_->Assign({{{kTopic, 1}, 0}}).ok());
  EXPECT_EQ(PollUntil(reader_.get(), Events(1)).events.at(0).next_offset, 0);
  Write(1, 5);
  const Found found = PollUntil(reader_.get(), Events(1));
  EXPECT_EQ(found.records.at(0).size(), 5u);
  EXPECT_EQ(found.events.at(0).next_offset, 5);
}

TEST_F(LogTest, DeliversOneRecordWithoutWaitingForMore) {
  Write(0, 1);
  ASSERT_TRUE(reader_->Assign({{{kTopic, 0}, 0}}).ok());
  std::vector<LogRecord> records;
  std::vector<Event> events;
  const absl::Time start = absl::Now();
  while (records.empty() && absl::Now() - start < kTimeout) ASSERT_TRUE(reader_->Poll(kTimeout, &records, &events).ok());
  EXPECT_EQ(records.size(), 1u);
  EXPECT_LT(absl::Now() - start, kTimeout / 2);
}

TEST_F(LogTest, PatientReaderGetsALoneRecordAndTheEnd) {
  LogConfig config = At(broker_->brokers());
  config.patience = absl::Milliseconds(20);
  const std::unique_ptr<LogReader> patient = LogReader::Create(config).value();
  Write(0, 1);
  const absl::Time start = absl::Now();
  ASSERT_TRUE(patient->Assign({{{kTopic, 0}, 0}}).ok());
  const Found found = PollUntil(patient.get(), Events(1));
  EXPECT_EQ(found.records.at(0).size(), 1u);
  EXPECT_EQ(found.events.at(0).next_offset, 1);
  EXPECT_LT(absl::Now() - start, kTimeout / 2);
}

TEST_F(LogTest, PatienceDoesNotAddUpWithTheJobsOwnFetchSettings) {
  LogConfig config = At(broker_->brokers());
  config.patience = absl::Milliseconds(20);
  config.properties = {{"fetch.wait.max.ms", "8000"}};
  const std::unique_ptr<LogReader> reader = LogReader::Create(config).value();
  Write(0, 1);
  const absl::Time start = absl::Now();
  ASSERT_TRUE(reader->Assign({{{kTopic, 0}, 0}}).ok());
  const Found found = PollUntil(reader.get(), [](const Found& some) { return !some.records.empty(); });
  EXPECT_EQ(found.records.at(0).size(), 1u);
  EXPECT_LT(absl::Now() - start, kTimeout / 2) << "a lone record waits for others";
}

TEST_F(LogTest, ReaderHeldToLittleMemoryReadsOn) {
  LogConfig config = At(broker_->brokers());
  config.read_ahead_bytes = 64 << 10;
  config.patience = absl::Milliseconds(20);
  const std::unique_ptr<LogReader> reader = LogReader::Create(config).value();
  Write(0, 20'000);
  ASSERT_TRUE(reader->Assign({{{kTopic, 0}, 0}}).ok());
  EXPECT_EQ(PollUntil(reader.get(), Events(1)).records.at(0).size(), 20'000u);
}

TEST_F(LogTest, AssignDeliversNothingFetchedBefore) {
  constexpr int kRecords = 20'000;
  for (int32_t partition : {0, 1, 2}) Write(partition, kRecords);
  std::mt19937 random(7);
  std::vector<LogRecord> records;
  std::vector<Event> events;
  for (int round = 0; round < 40; ++round) {
    const auto partition = static_cast<int32_t>(random() % 3);
    const int32_t other = (partition + 1) % 3;
    std::vector<int64_t> next = {static_cast<int64_t>(random() % kRecords), static_cast<int64_t>(random() % kRecords)};
    ASSERT_TRUE(reader_->Assign({{{kTopic, partition}, next[0]}, {{kTopic, other}, next[1]}}).ok());
    // More or less of what was fetched is left behind.
    size_t seen = 0;
    for (const size_t wanted = random() % 30'000; seen <= wanted && events.empty();) {
      ASSERT_TRUE(reader_->Poll(kTimeout, &records, &events).ok());
      for (const LogRecord& record : records) {
        ASSERT_EQ(record.offset, next[record.position]++) << "round " << round;
        ASSERT_EQ(record.value, absl::StrCat(record.position == 0 ? partition : other, "-", record.offset));
      }
      seen += records.size();
    }
    events.clear();
  }
}

TEST_F(LogTest, OffsetPastTheEndIsLostAndTheOthersReadOn) {
  Write(0, 10);
  Write(1, 10);
  ASSERT_TRUE(reader_->Assign({{{kTopic, 0}, 11}, {{kTopic, 1}, 0}}).ok());
  const Found found = PollUntil(reader_.get(), Events(2));
  ASSERT_EQ(found.events.size(), 2u);
  const Event& lost = found.events[found.events[0].position == 0 ? 0 : 1];
  EXPECT_EQ(lost.kind, Event::Kind::kOffsetLost);
  EXPECT_EQ(lost.next_offset, 11);
  EXPECT_THAT(lost.message, HasSubstr("events[0]: offset 11"));
  EXPECT_EQ(found.records.at(1).size(), 10u);
  EXPECT_FALSE(found.records.contains(0));

  ASSERT_TRUE(reader_->Assign({{{kTopic, 0}, 4}}).ok());
  EXPECT_EQ(PollUntil(reader_.get(), Events(1)).records.at(0).front().first, 4);
}

TEST_F(LogTest, LostOffsetsOfAnEarlierAssignmentAreNotReported) {
  Write(0, 10);
  const std::unique_ptr<LogReader> clock = LogReader::Create(At(broker_->brokers())).value();
  for (int round = 0; round < 20; ++round) {
    // What the second reader has been told, the first one was told too, but it did not ask.
    ASSERT_TRUE(reader_->Assign({{{kTopic, 0}, 50}}).ok());
    ASSERT_TRUE(clock->Assign({{{kTopic, 0}, 50}}).ok());
    ASSERT_EQ(PollUntil(clock.get(), Events(1)).events.at(0).kind, Event::Kind::kOffsetLost);
    ASSERT_TRUE(reader_->Assign({{{kTopic, 0}, 3}}).ok());
    const Found found = PollUntil(reader_.get(), Events(1));
    ASSERT_EQ(found.events.at(0).kind, Event::Kind::kEnd) << found.events.at(0).message;
    ASSERT_EQ(found.records.at(0).size(), 7u);
  }
}

TEST_F(LogTest, AssignsManyTimesInARow) {
  const std::unique_ptr<EmbeddedBroker> broker = EmbeddedBroker::Start(kTopic, 60).value();
  const std::unique_ptr<LogReader> reader = LogReader::Create(At(broker->brokers())).value();
  std::vector<LogReader::Start> starts;
  for (int32_t partition = 0; partition < 60; ++partition) starts.push_back({{kTopic, partition}, 0});
  for (int round = 0; round < 20; ++round) ASSERT_TRUE(reader->Assign(starts).ok());
  EXPECT_EQ(PollUntil(reader.get(), Events(starts.size())).events.size(), starts.size());
}

TEST_F(LogTest, MissingPartitionFails) {
  // librdkafka itself says nothing of it once it knows the topic.
  ASSERT_TRUE(reader_->Assign({{{kTopic, 0}, 0}}).ok());
  PollUntil(reader_.get(), Events(1));
  ASSERT_TRUE(reader_->Assign({{{kTopic, 3}, 0}}).ok());
  const Found found = PollUntil(reader_.get(), Events(1));
  ASSERT_EQ(found.events.size(), 1u);
  EXPECT_EQ(found.events[0].kind, Event::Kind::kFailed);
  EXPECT_THAT(found.events[0].message, HasSubstr("events[3]"));
}

TEST_F(LogTest, RefusesToReadAtNoOffsetOrTwice) {
  EXPECT_TRUE(absl::IsInvalidArgument(reader_->Assign({{{kTopic, 0}, -1}})));
  EXPECT_TRUE(absl::IsInvalidArgument(reader_->Assign({{{kTopic, 0}, 0}, {{kTopic, 0}, 5}})));
}

TEST_F(LogTest, ReadsARecordOfThreeMebibytes) {
  const std::string large(3 << 20, 'x');
  ASSERT_TRUE(writer_->Append(kTopic, 0, large).ok());
  ASSERT_TRUE(writer_->Append(kTopic, 0, "small").ok());
  ASSERT_TRUE(writer_->Flush(kTimeout).ok());
  ASSERT_TRUE(reader_->Assign({{{kTopic, 0}, 0}}).ok());
  const Found found = PollUntil(reader_.get(), Events(1));
  ASSERT_EQ(found.records.at(0).size(), 2u);
  EXPECT_EQ(found.records.at(0)[0].second, large);
}

TEST_F(LogTest, CountsPartitions) { EXPECT_THAT(client_->PartitionCounts({kTopic}, kTimeout).value(), ElementsAre(3)); }

TEST_F(LogTest, LooksUpOffsetsInTheOrderAsked) {
  Write(0, 3);
  Write(2, 5);
  const std::vector<TopicPartition> partitions = {{kTopic, 2}, {kTopic, 1}, {kTopic, 0}};
  using Position = LogClient::Position;
  EXPECT_THAT(client_->Offsets(partitions, Position::kStableEnd, kTimeout).value(), ElementsAre(5, 0, 3));
  EXPECT_THAT(client_->Offsets(partitions, Position::kHighWatermark, kTimeout).value(), ElementsAre(5, 0, 3));
  EXPECT_THAT(client_->Offsets(partitions, Position::kBegin, kTimeout).value(), ElementsAre(0, 0, 0));
  EXPECT_THAT(client_->Offsets({}, Position::kBegin, kTimeout).value(), ElementsAre());
  const absl::Status status = client_->Offsets({{kTopic, 0}, {kTopic, 9}}, Position::kStableEnd, kTimeout).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(Message(status), HasSubstr("events[9]"));
}

TEST_F(LogTest, BeginsAreAskedOfTheBroker) {
  Write(1, 3);
  ASSERT_TRUE(reader_->Assign({{{kTopic, 1}, 2}}).ok());
  const absl::StatusOr<int64_t> begin = reader_->Begin(0, kTimeout);
  ASSERT_TRUE(begin.ok()) << begin.status();
  EXPECT_EQ(*begin, 0);
}

TEST_F(LogTest, BeginFollowsWhatTheEmbeddedBrokerDrops) {
  const std::string value(100'000, 'x');
  // Random enough not to be compressed away.
  std::mt19937 random(1);
  for (int i = 0; i < 100; ++i) {
    std::string noise = value;
    for (char& c : noise) c = static_cast<char>(random());
    ASSERT_TRUE(writer_->Append(kTopic, 0, noise).ok());
    ASSERT_TRUE(writer_->Flush(kTimeout).ok());
  }
  const std::vector<int64_t> begin = client_->Offsets({{kTopic, 0}}, LogClient::Position::kBegin, kTimeout).value();
  EXPECT_GT(begin[0], 0);
  ASSERT_TRUE(reader_->Assign({{{kTopic, 0}, 0}}).ok());
  EXPECT_EQ(PollUntil(reader_.get(), Events(1)).events.at(0).kind, Event::Kind::kOffsetLost);
}

TEST_F(LogTest, CommitsOffsetsOfAnyGroup) {
  Write(0, 3);
  const absl::Status status = LogGroup(At(broker_->brokers()), "tenfold-job").Commit({{kTopic, 0}}, {2}, kTimeout);
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(LogTest, CreateTopicAcceptsATopicThatIsThere) {
  EXPECT_TRUE(client_->CreateTopic(kTopic, 3, 1, kTimeout).ok());
  const absl::Status status = client_->CreateTopic(kTopic, 4, 1, kTimeout);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(Message(status), HasSubstr("3 partitions"));
}

TEST_F(LogTest, AppendWaitsWhileTheQueueIsFull) {
  LogConfig config = At(broker_->brokers());
  config.properties["queue.buffering.max.messages"] = "10";
  const std::unique_ptr<LogWriter> writer = LogWriter::Create(config, {}).value();
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(writer->Append(kTopic, 0, "x").ok());
  ASSERT_TRUE(writer->Flush(kTimeout).ok());
  EXPECT_THAT(client_->Offsets({{kTopic, 0}}, LogClient::Position::kStableEnd, kTimeout).value(), ElementsAre(200));
}

TEST_F(LogTest, CommittedTransactionIsRead) {
  const std::unique_ptr<LogWriter> writer =
      LogWriter::Create(At(broker_->brokers()), {.transactional_id = "tenfold"}).value();
  ASSERT_TRUE(writer->BeginTransaction().ok());
  ASSERT_TRUE(writer->Append(kTopic, 0, "x").ok());
  ASSERT_TRUE(writer->CommitTransaction(kTimeout).ok());
  ASSERT_TRUE(reader_->Assign({{{kTopic, 0}, 0}}).ok());
  EXPECT_EQ(PollUntil(reader_.get(), Events(1)).records.at(0).size(), 1u);
}

// A record as only librdkafka can write it.
struct RawRecord {
  std::optional<std::string> key = {};
  std::optional<std::string> value = {};
  int64_t timestamp = 1'700'000'000'000;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers = {};
};

void ProduceRaw(const std::string& brokers, const std::vector<RawRecord>& records) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", brokers.c_str(), nullptr, 0);
  rd_kafka_t* producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, nullptr, 0);
  for (const RawRecord& record : records) {
    rd_kafka_headers_t* headers = rd_kafka_headers_new(4);
    for (const auto& [name, content] : record.headers) {
      rd_kafka_header_add(headers, name.c_str(), -1, content ? content->data() : nullptr,
                          content ? static_cast<ssize_t>(content->size()) : 0);
    }
    void* key = record.key ? const_cast<char*>(record.key->data()) : nullptr;
    const size_t key_size = record.key ? record.key->size() : 0;
    void* value = record.value ? const_cast<char*>(record.value->data()) : nullptr;
    const size_t value_size = record.value ? record.value->size() : 0;
    EXPECT_EQ(rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(kTopic), RD_KAFKA_V_PARTITION(0),
                                RD_KAFKA_V_TIMESTAMP(record.timestamp), RD_KAFKA_V_KEY(key, key_size),
                                RD_KAFKA_V_VALUE(value, value_size), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_END),
              RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  EXPECT_EQ(rd_kafka_flush(producer, 10'000), RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_destroy(producer);
}

TEST_F(LogTest, HashTellsRecordsApartThatDifferInOneThing) {
  const std::vector<RawRecord> records = {
      {.key = "k", .value = "v"},
      {.key = "k", .value = "w"},
      {.key = "l", .value = "v"},
      {.key = "kv", .value = ""},
      {.key = "", .value = "kv"},
      {.key = std::nullopt, .value = "kv"},
      {.key = "kv", .value = std::nullopt},
      {.key = "k", .value = "v", .timestamp = 1'700'000'000'001},
      {.key = "k", .value = "v", .headers = {{"a", "b"}}},
      {.key = "k", .value = "v", .headers = {{"a", "c"}}},
      {.key = "k", .value = "v", .headers = {{"ab", ""}}},
      {.key = "k", .value = "v", .headers = {{"ab", std::nullopt}}},
      {.key = "k", .value = "v", .headers = {{"a", "b"}, {"c", "d"}}},
      {.key = "k", .value = "v"},
  };
  ProduceRaw(broker_->brokers(), records);
  ASSERT_TRUE(reader_->Assign({{{kTopic, 0}, 0}}).ok());
  std::map<int64_t, uint64_t> hashes;
  std::vector<LogRecord> found;
  std::vector<Event> events;
  const absl::Time deadline = absl::Now() + kTimeout;
  while (hashes.size() < records.size() && absl::Now() < deadline) {
    ASSERT_TRUE(reader_->Poll(absl::Milliseconds(100), &found, &events).ok());
    for (const LogRecord& record : found) {
      hashes[record.offset] = reader_->Hash(record);
      EXPECT_EQ(record.value, records[static_cast<size_t>(record.offset)].value.value_or(""));
    }
  }
  ASSERT_EQ(hashes.size(), records.size());
  const int64_t last = static_cast<int64_t>(records.size()) - 1;
  EXPECT_EQ(hashes[0], hashes[last]) << "equal records";
  for (int64_t a = 0; a < last; ++a) {
    for (int64_t b = a + 1; b < last; ++b) EXPECT_NE(hashes[a], hashes[b]) << a << " and " << b;
  }
}

TEST(LogConfigTest, RefusesAddressesThatAreNone) {
  for (const char* brokers : {"", "host", "host:", ":9092", "host:0", "host:65536", "host:9092,", "a b:1", "http://a:1"}) {
    const absl::Status status = LogClient::Create(At(brokers)).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << brokers << ": " << status;
  }
  EXPECT_TRUE(LogClient::Create(At("127.0.0.1:1,[::1]:2")).ok());
}

TEST(LogConfigTest, NamesTheWrongPropertyAndNotItsValue) {
  LogConfig unknown = At(kNobody);
  unknown.properties["sasl.pasword"] = "secret";
  LogConfig wrong = At(kNobody);
  wrong.properties["security.protocol"] = "secret";
  for (const auto& [config, name] : {std::make_pair(unknown, "sasl.pasword"), std::make_pair(wrong, "security.protocol")}) {
    for (const absl::Status& status :
         {LogClient::Create(config).status(), LogReader::Create(config).status(), LogWriter::Create(config, {}).status()}) {
      EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
      EXPECT_THAT(Message(status), HasSubstr(name));
      EXPECT_THAT(Message(status), Not(HasSubstr("secret")));
    }
  }
}

TEST(LogConfigTest, PropertiesThatDoNotFitTogetherAreRefused) {
  const std::map<std::string, std::string> wrong[] = {
      {{"security.protocol", "SSL"}, {"ssl.cipher.suites", "FOO"}},
      {{"security.protocol", "SSL"}, {"ssl.ca.pem", "FOO"}},
      {{"security.protocol", "SASL_PLAINTEXT"}},
      {{"security.protocol", "SASL_PLAINTEXT"}, {"sasl.mechanism", "PLAIN"}},
      {{"security.protocol", "SASL_PLAINTEXT"}, {"sasl.mechanism", "FOO"}},
  };
  for (const auto& properties : wrong) {
    const LogConfig config = {.brokers = kNobody, .properties = properties};
    for (const absl::Status& status :
         {LogClient::Create(config).status(), LogReader::Create(config).status(), LogWriter::Create(config, {}).status()}) {
      EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
      EXPECT_THAT(Message(status), HasSubstr("do not fit together: "));
    }
  }
}

TEST(LogConfigTest, PropertiesDoNotChangeWhatTenfoldReliesOn) {
  const std::unique_ptr<EmbeddedBroker> broker = EmbeddedBroker::Start(kTopic, 1).value();
  LogConfig config = At(broker->brokers());
  config.properties = {{"auto.offset.reset", "latest"}, {"enable.partition.eof", "false"}, {"bootstrap.servers", kNobody}};
  const std::unique_ptr<LogReader> reader = LogReader::Create(config).value();
  ASSERT_TRUE(reader->Assign({{{kTopic, 0}, 4}}).ok());
  EXPECT_EQ(PollUntil(reader.get(), Events(1)).events.at(0).kind, Event::Kind::kOffsetLost);
  ASSERT_TRUE(reader->Assign({{{kTopic, 0}, 0}}).ok());
  EXPECT_EQ(PollUntil(reader.get(), Events(1)).events.at(0).kind, Event::Kind::kEnd);
}

}  // namespace
}  // namespace tenfold
