// A Kafka that lets in whom it knows, allows what its ACLs say and slows down who fetches too fast.
#include <librdkafka/rdkafka.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/process/process.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

constexpr char kUser[] = "reader";

class SecureKafkaTest : public ::testing::Test {
 protected:
  // The job comes as the user, with a password that only the processes' environment has.
  void SetUp() override {
    ASSERT_EQ(setenv("TENFOLD_SECRET_READER", "reader-password", 1), 0);
    absl::StatusOr<std::string> topic = CreateTopic();
    ASSERT_OK(topic.status());
    job_.topics = {*topic};
    ComeBy("PLAIN");
    const Launch launch{.flags = {"--property-dirs", kafka_.ca_dir()}, .fault_point = "", .instead = {}};
    ASSERT_OK(cluster_.driver().Start(launch));
    ASSERT_OK(cluster_.worker(0).Start(launch));
  }

  void ComeBy(const std::string& mechanism) {
    job_.kafka =
        absl::StrCat("brokers: \"", kafka_.secure_brokers(),
                     "\", properties: {security.protocol: sasl_ssl, sasl.mechanism: ", mechanism, ", sasl.username: ", kUser,
                     ", sasl.password: \"${env:TENFOLD_SECRET_READER}\", ssl.ca.location: ", kafka_.ca_dir(), "/ca.pem}, ");
  }

  OwnKafka kafka_{1, "127.0.0.1", kUser};
  MiniCluster cluster_;
  Job job_;
};

TEST_F(SecureKafkaTest, WhatAclsRefuseIsNamedAndATopicThatMayBeReadSuffices) {
  const CliResult refused = cluster_.RunCli({"submit", cluster_.WriteFile("refused.yaml", SpecText(job_))});
  EXPECT_EQ(refused.exit_code, kExitRefused) << refused.err;
  EXPECT_TRUE(absl::StrContains(refused.err, absl::StrCat("refuses access to topic ", job_.topics[0]))) << refused.err;
  // Not the group, and not the topic's settings.
  AllowReading(kUser, job_.topics[0]);
  ASSERT_OK(cluster_.Submit(job_));
  ASSERT_OK(ProduceSample(job_.topics[0], 3, /*seed=*/1, 3000));
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
  const CliResult status = cluster_.RunCli({"status", job_.name});
  EXPECT_EQ(absl::StrContains(status.out, "reader      wire\n"), !ReadsWithLibrdkafka()) << status.out;
  EXPECT_FALSE(absl::StrContains(status.out, "reader-password")) << status.out;
  EXPECT_FALSE(absl::StrContains(cluster_.driver().LogTail(), "reader-password"));
  const std::string told = absl::StrCat("refuses access to group tenfold-", job_.name);
  EXPECT_OK(WaitUntil(told, absl::Seconds(30), [&] { return absl::StrContains(cluster_.driver().LogTail(), told); }));
}

TEST_F(SecureKafkaTest, AJobThatKafkaSlowsDownStaysExact) {
  AllowReading(kUser, job_.topics[0]);
  LimitFetching(kUser, 200'000);
  ASSERT_OK(ProduceSample(job_.topics[0], 3, /*seed=*/1, 10'000));
  ASSERT_OK(cluster_.Submit(job_));
  ASSERT_OK(cluster_.VerifyPublished(job_.name));
}

// The driver asks with librdkafka, of which older ones get SCRAM wrong.
TEST_F(SecureKafkaTest, AJobComesByScramOrItsUserLearnsWhyItCannot) {
  AllowReading(kUser, job_.topics[0]);
  AllowScram(kUser);
  ComeBy("SCRAM-SHA-256");
  ASSERT_OK(ProduceSample(job_.topics[0], 3, /*seed=*/1, 3000));
  if (rd_kafka_version() >= 0x020601ff) {
    ASSERT_OK(cluster_.Submit(job_));
    ASSERT_OK(cluster_.VerifyPublished(job_.name));
    return;
  }
  const CliResult refused = cluster_.RunCli({"submit", cluster_.WriteFile("scram.yaml", SpecText(job_))});
  EXPECT_EQ(refused.exit_code, kExitUnavailable) << refused.err;
  EXPECT_TRUE(absl::StrContains(refused.err, "this librdkafka is older than 2.6.1")) << refused.err;
}

TEST_F(SecureKafkaTest, AWrongPasswordIsNamed) {
  AllowReading(kUser, job_.topics[0]);
  ASSERT_OK(cluster_.driver().Stop());
  ASSERT_EQ(setenv("TENFOLD_SECRET_READER", "another", 1), 0);
  ASSERT_OK(cluster_.driver().Start({.flags = {"--property-dirs", kafka_.ca_dir()}, .fault_point = "", .instead = {}}));
  const CliResult refused = cluster_.RunCli({"submit", cluster_.WriteFile("wrong.yaml", SpecText(job_))});
  EXPECT_EQ(refused.exit_code, kExitUnavailable) << refused.err;
  EXPECT_TRUE(absl::StrContains(refused.err, kafka_.secure_brokers())) << refused.err;
  EXPECT_TRUE(absl::StrContains(refused.err, "Authentication failed")) << refused.err;
  EXPECT_FALSE(absl::StrContains(refused.err, "another")) << refused.err;
}

}  // namespace
}  // namespace tenfold
