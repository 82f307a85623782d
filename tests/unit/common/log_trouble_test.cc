// Kafka in trouble, as readers, writers and clients of the log tell of it.
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/kafka/log.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/common/log_fixture.h"

namespace tenfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Event = LogReader::Event;

TEST(UnreachableTest, EveryCallEndsInTimeAndNamesTheBrokers) {
  const std::unique_ptr<LogClient> client = LogClient::Create(At(kNobody)).value();
  const std::unique_ptr<LogWriter> writer = LogWriter::Create(At(kNobody), {}).value();
  LogGroup group(At(kNobody), "group");
  ASSERT_TRUE(writer->Append(kTopic, 0, "x").ok());
  using Position = LogClient::Position;
  const std::map<std::string, std::function<absl::Status()>> calls = {
      {"PartitionCounts", [&] { return client->PartitionCounts({kTopic, "more"}, kShort).status(); }},
      {"Offsets", [&] { return client->Offsets({{kTopic, 0}}, Position::kStableEnd, kShort).status(); }},
      {"high watermark", [&] { return client->Offsets({{kTopic, 0}}, Position::kHighWatermark, kShort).status(); }},
      {"CreateTopic", [&] { return client->CreateTopic(kTopic, 1, 1, kShort); }},
      {"CommitOffsets", [&] { return group.Commit({{kTopic, 0}}, {1}, kShort); }},
      {"Flush", [&] { return writer->Flush(kShort); }},
  };
  for (const auto& [name, call] : calls) {
    const absl::Time start = absl::Now();
    const absl::Status status = call();
    EXPECT_LT(absl::Now() - start, kShort + absl::Seconds(2)) << name;
    EXPECT_TRUE(absl::IsUnavailable(status)) << name << ": " << status;
    EXPECT_THAT(Message(status), HasSubstr(absl::StrCat("Kafka at ", kNobody, " is not reachable"))) << name;
  }
}

// A mock cluster whose broker can be taken down.
class FailingBroker {
 public:
  FailingBroker() {
    char error[256];
    handle_ = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), error, sizeof(error));
    cluster_ = rd_kafka_mock_cluster_new(handle_, 1);
    rd_kafka_mock_topic_create(cluster_, kTopic, 1, 1);
  }
  ~FailingBroker() {
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(handle_);
  }
  std::string brokers() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }
  void Down() { rd_kafka_mock_broker_set_down(cluster_, -1); }
  void Up() { rd_kafka_mock_broker_set_up(cluster_, -1); }
  // The next fetches fail so.
  void FailFetches(std::vector<rd_kafka_resp_err_t> errors) {
    constexpr int16_t kFetch = 1;
    rd_kafka_mock_push_request_errors_array(cluster_, kFetch, errors.size(), errors.data());
  }
  // The mock cluster creates any topic it is asked for.
  void LoseTopic() { rd_kafka_mock_topic_set_error(cluster_, kTopic, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART); }

 private:
  rd_kafka_t* handle_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
};

// Polls until the status is as wanted, with no records in between.
bool PollReaches(LogReader* reader, const std::function<bool(const absl::Status&)>& wanted) {
  std::vector<LogRecord> records;
  std::vector<Event> events;
  const absl::Time deadline = absl::Now() + kTimeout;
  while (absl::Now() < deadline) {
    if (wanted(reader->Poll(absl::Milliseconds(50), &records, &events))) return true;
  }
  return false;
}

TEST(UnreachableTest, PollSaysSoUntilABrokerIsBack) {
  FailingBroker broker;
  const std::unique_ptr<LogReader> reader = LogReader::Create(At(broker.brokers())).value();
  ASSERT_TRUE(reader->Assign({{{kTopic, 0}, 0}}).ok());
  ASSERT_EQ(PollUntil(reader.get(), Events(1)).events.size(), 1u);
  broker.Down();
  EXPECT_TRUE(PollReaches(reader.get(), [&](const absl::Status& status) {
    return absl::IsUnavailable(status) && Message(status).find(broker.brokers()) != std::string::npos;
  }));
  broker.Up();
  // Nothing is written meanwhile: no record tells that the broker is back.
  EXPECT_TRUE(PollReaches(reader.get(), [](const absl::Status& status) { return status.ok(); }));

  const std::unique_ptr<LogWriter> writer = LogWriter::Create(At(broker.brokers()), {}).value();
  ASSERT_TRUE(writer->Append(kTopic, 0, "x").ok());
  ASSERT_TRUE(writer->Flush(kTimeout).ok());
  const Found found = PollUntil(reader.get(), [](const Found& so_far) { return !so_far.records.empty(); });
  EXPECT_EQ(found.records.size(), 1u);
}

// Whatever comes over the new connection comes after it was told of.
TEST(UnreachableTest, ANewConnectionIsToldBeforeItsFirstRecord) {
  FailingBroker broker;
  const std::unique_ptr<LogReader> reader = LogReader::Create(At(broker.brokers())).value();
  ASSERT_TRUE(reader->Assign({{{kTopic, 0}, 0}}).ok());
  ASSERT_EQ(PollUntil(reader.get(), Events(1)).events.size(), 1u);
  EXPECT_TRUE(reader->TakeChanged());
  std::vector<LogRecord> records;
  std::vector<Event> events;
  // Once all is connected, nothing changes by itself.
  const absl::Time deadline = absl::Now() + kTimeout;
  do {
    ASSERT_LT(absl::Now(), deadline);
    ASSERT_TRUE(reader->Poll(kShort, &records, &events).ok());
  } while (reader->TakeChanged());
  broker.Down();
  broker.Up();
  const std::unique_ptr<LogWriter> writer = LogWriter::Create(At(broker.brokers()), {}).value();
  ASSERT_TRUE(writer->Append(kTopic, 0, "x").ok());
  ASSERT_TRUE(writer->Flush(kTimeout).ok());
  // It may be found unreachable in between.
  bool told = false;
  while (records.empty() && absl::Now() < deadline) {
    reader->Poll(kShort, &records, &events).IgnoreError();
    told |= reader->TakeChanged();
  }
  EXPECT_FALSE(records.empty());
  EXPECT_TRUE(told);
}

TEST(UnreachableTest, PollSaysSoWhereNoBrokerEverWas) {
  const std::unique_ptr<LogReader> reader = LogReader::Create(At(kNobody)).value();
  ASSERT_TRUE(reader->Assign({{{kTopic, 0}, 0}}).ok());
  EXPECT_TRUE(PollReaches(reader.get(), [](const absl::Status& status) { return absl::IsUnavailable(status); }));
}

TEST(UnreachableTest, ClientIsReadyAgainAfterAFailure) {
  FailingBroker broker;
  const std::unique_ptr<LogClient> client = LogClient::Create(At(broker.brokers())).value();
  broker.Down();
  EXPECT_TRUE(absl::IsUnavailable(client->PartitionCounts({kTopic}, kShort).status()));
  broker.Up();
  EXPECT_THAT(client->PartitionCounts({kTopic}, kTimeout).value(), ElementsAre(1));
}

class FetchErrorTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::unique_ptr<LogWriter> writer = LogWriter::Create(At(broker_.brokers()), {}).value();
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(writer->Append(kTopic, 0, "x").ok());
    ASSERT_TRUE(writer->Flush(kTimeout).ok());
    reader_ = LogReader::Create(At(broker_.brokers())).value();
  }

  FailingBroker broker_;
  std::unique_ptr<LogReader> reader_;
};

TEST_F(FetchErrorTest, IsWaitedForIfItPasses) {
  broker_.FailFetches({RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
                       RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_UNKNOWN});
  ASSERT_TRUE(reader_->Assign({{{kTopic, 0}, 0}}).ok());
  const Found found = PollUntil(reader_.get(), Events(1));
  EXPECT_EQ(found.events.at(0).kind, Event::Kind::kEnd) << found.events.at(0).message;
  EXPECT_EQ(found.records.at(0).size(), 5u);
}

TEST_F(FetchErrorTest, NothingIsDeliveredBehindAFailure) {
  // librdkafka itself reads on.
  broker_.FailFetches({RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE});
  ASSERT_TRUE(reader_->Assign({{{kTopic, 0}, 0}}).ok());
  const Found found = PollUntil(reader_.get(), Events(1));
  ASSERT_EQ(found.events.at(0).kind, Event::Kind::kFailed);
  EXPECT_THAT(found.events[0].message, HasSubstr("events[0] at 0"));
  EXPECT_TRUE(found.records.empty());
  std::vector<LogRecord> records;
  std::vector<Event> events;
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(reader_->Poll(absl::Milliseconds(50), &records, &events).ok());
    EXPECT_TRUE(records.empty());
    EXPECT_TRUE(events.empty());
  }
  ASSERT_TRUE(reader_->Assign({{{kTopic, 0}, 0}}).ok());
  EXPECT_EQ(PollUntil(reader_.get(), Events(1)).records.at(0).size(), 5u);
}

// How long a topic may be unknown to a broker that has not heard of it yet.
const std::map<std::string, std::string> kImpatient = {{"topic.metadata.propagation.max.ms", "100"}};

TEST(MissingTopicTest, IsNamedByEveryCall) {
  FailingBroker broker;
  broker.LoseTopic();
  LogConfig config = At(broker.brokers());
  config.properties = kImpatient;
  const std::unique_ptr<LogClient> client = LogClient::Create(config).value();
  const std::unique_ptr<LogWriter> writer = LogWriter::Create(config, {}).value();
  ASSERT_TRUE(writer->Append(kTopic, 0, "x").ok());
  for (const absl::Status& status :
       {client->PartitionCounts({kTopic}, kTimeout).status(),
        client->Offsets({{kTopic, 0}}, LogClient::Position::kBegin, kTimeout).status(), writer->Flush(kTimeout)}) {
    EXPECT_TRUE(absl::IsNotFound(status)) << status;
    EXPECT_THAT(Message(status), HasSubstr("topic events does not exist"));
  }
  EXPECT_TRUE(writer->Flush(kTimeout).ok()) << "the failure is reported twice";
}

TEST(MissingTopicTest, FailsAReader) {
  FailingBroker broker;
  broker.LoseTopic();
  const std::unique_ptr<LogReader> reader = LogReader::Create(At(broker.brokers())).value();
  ASSERT_TRUE(reader->Assign({{{kTopic, 0}, 0}}).ok());
  const Found found = PollUntil(reader.get(), Events(1));
  ASSERT_EQ(found.events.size(), 1u);
  EXPECT_EQ(found.events[0].kind, Event::Kind::kFailed);
  EXPECT_THAT(found.events[0].message, HasSubstr("events[0]"));
}

}  // namespace
}  // namespace tenfold
