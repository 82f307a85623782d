// The wire reader at brokers that ask who comes: by each way in that it has it reads what librdkafka reads without one.
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/kafka/log.h"
#include "gtest/gtest.h"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/log_content.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

constexpr char kUser[] = "reader";
constexpr int kPartitions = 3;
constexpr absl::Duration kWait = absl::Seconds(30);

using Properties = std::map<std::string, std::string>;

class SecureReadersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<std::string> topic = CreateTopic(kPartitions);
    ASSERT_OK(topic.status());
    topic_ = *topic;
    AllowScram(kUser);
    AllowReading(kUser, topic_);
    ASSERT_OK(ProduceSample(topic_, kPartitions, /*seed=*/1, 20'000));
    for (int32_t p = 0; p < kPartitions; ++p) starts_.push_back({{topic_, p}, 0});
  }

  LogConfig Plain() const { return {.brokers = KafkaBrokers(), .properties = {}}; }
  LogConfig Login(const std::string& mechanism, const std::string& password = "reader-password") const {
    return {.brokers = kafka_.secure_brokers(),
            .properties = {{"security.protocol", "SASL_SSL"},
                           {"sasl.mechanism", mechanism},
                           {"sasl.username", kUser},
                           {"sasl.password", password},
                           {"ssl.ca.location", kafka_.ca_dir() + "/ca.pem"}},
            .reader = ReaderChoice::kWire};
  }
  LogConfig Certificate() const {
    return {.brokers = kafka_.mutual_brokers(),
            .properties = {{"security.protocol", "ssl"},
                           {"ssl.ca.location", kafka_.ca_dir() + "/ca.pem"},
                           {"ssl.certificate.location", kafka_.ca_dir() + "/ca.pem"},
                           {"ssl.key.location", kafka_.ca_dir() + "/client-key.pem"},
                           {"ssl.key.password", "changeit"}},
            .reader = ReaderChoice::kWire};
  }

  // What a reader that never gets in says.
  std::string Refusal(const LogConfig& config) {
    absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Create(config);
    if (!reader.ok()) return std::string(reader.status().message());
    EXPECT_OK((*reader)->Assign(starts_));
    for (const absl::Time deadline = absl::Now() + kWait; absl::Now() < deadline;) {
      std::vector<LogRecord> records;
      std::vector<LogReader::Event> events;
      const absl::Status polled = (*reader)->Poll(absl::Milliseconds(100), &records, &events);
      EXPECT_TRUE(records.empty());
      if (!polled.ok()) return std::string(polled.message());
    }
    return "";
  }

  OwnKafka kafka_{1, "127.0.0.1", kUser};
  std::string topic_;
  std::vector<LogReader::Start> starts_;
};

TEST_F(SecureReadersTest, EachWayInGivesTheSameRecords) {
  const std::map<uint32_t, LogContent> plain = ReadAll(Plain(), starts_);
  for (const char* mechanism : {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}) {
    SCOPED_TRACE(mechanism);
    EXPECT_EQ(Difference(ReadAll(Login(mechanism), starts_), plain), "");
  }
  EXPECT_EQ(Difference(ReadAll(Certificate(), starts_), plain), "");
}

// The broker ends a connection over which something is asked after its login has ended.
TEST_F(SecureReadersTest, ALoginThatEndsIsMadeAgainOverTheSameConnection) {
  absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Create(Login("SCRAM-SHA-512"));
  ASSERT_OK(reader.status());
  ASSERT_OK((*reader)->Assign(starts_));
  Load load(topic_, kPartitions, 200);
  size_t read = 0;
  bool changed = false;
  // Three times as long as a login lasts.
  for (const absl::Time end = absl::Now() + absl::Seconds(6); absl::Now() < end;) {
    std::vector<LogRecord> records;
    std::vector<LogReader::Event> events;
    ASSERT_OK((*reader)->Poll(absl::Milliseconds(100), &records, &events));
    read += records.size();
    changed |= (*reader)->TakeChanged();
  }
  ASSERT_OK(load.Stop());
  EXPECT_GT(read, 20'500u);
  EXPECT_FALSE(changed) << "there was another connection";
}

TEST_F(SecureReadersTest, WhyNobodyGetsInIsSaid) {
  const auto says = [](const std::string& text, const std::string& what) {
    EXPECT_TRUE(absl::StrContains(text, what)) << text;
    EXPECT_FALSE(absl::StrContains(text, "wrong-one")) << text;
  };
  says(Refusal(Login("SCRAM-SHA-256", "wrong-one")), "refuses the login of reader by SCRAM-SHA-256: ");
  says(Refusal(Login("PLAIN", "wrong-one")), "refuses the login of reader by PLAIN: ");

  LogConfig nobody = Certificate();
  for (const char* name : {"ssl.certificate.location", "ssl.key.location", "ssl.key.password"})
    nobody.properties.erase(name);
  says(Refusal(nobody), "(this client has none: ssl.certificate.location)");
  LogConfig locked = Certificate();
  locked.properties["ssl.key.password"] = "wrong-one";
  says(Refusal(locked), "ssl.key.location");
  LogConfig trusts_nobody = Login("PLAIN");
  trusts_nobody.properties.erase("ssl.ca.location");
  says(Refusal(trusts_nobody), "its certificate does not verify: self-signed certificate");
  LogConfig other_name = Login("PLAIN");
  other_name.brokers = absl::StrCat("localhost", other_name.brokers.substr(other_name.brokers.find(':')));
  says(Refusal(other_name), "its certificate does not verify: hostname mismatch");
  other_name.properties["ssl.endpoint.identification.algorithm"] = "none";
  EXPECT_EQ(ReadAll(other_name, starts_).size(), starts_.size());
  LogConfig no_tls = Login("PLAIN");
  no_tls.brokers = KafkaBrokers();
  says(Refusal(no_tls), "it may not speak TLS here");
  LogConfig plain = Login("PLAIN");
  plain.properties = {};
  says(Refusal(plain), "not as plaintext");
}

// A secret or certificate that was changed is taken with the next connection, and a file that is no good leaves the former.
TEST_F(SecureReadersTest, AFileThatIsChangedIsReadAgain) {
  const std::string copy = kafka_.ca_dir() + "/trusted.pem";
  std::filesystem::copy_file(kafka_.ca_dir() + "/ca.pem", copy);
  LogConfig config = Login("PLAIN");
  config.properties["ssl.ca.location"] = copy;
  absl::StatusOr<std::unique_ptr<LogReader>> reader = LogReader::Create(config);
  ASSERT_OK(reader.status());
  const auto reads = [&](int64_t from) {
    std::vector<LogReader::Start> starts = starts_;
    for (LogReader::Start& start : starts) start.offset = from;
    EXPECT_OK((*reader)->Assign(starts));
    size_t read = 0;
    absl::Status last;
    for (const absl::Time deadline = absl::Now() + kWait; read == 0 && absl::Now() < deadline;) {
      std::vector<LogRecord> records;
      std::vector<LogReader::Event> events;
      last = (*reader)->Poll(absl::Milliseconds(100), &records, &events);
      read += records.size();
    }
    EXPECT_GT(read, 0u) << last;
  };
  reads(0);
  ASSERT_GE(truncate(copy.c_str(), 10), 0);
  ASSERT_OK(kafka_.Kill(1));
  kafka_.Start(1);
  reads(1);
}

}  // namespace
}  // namespace tenfold
