// What the driver asks of a real Kafka: where a job's partitions begin.
#include "driver/job_topics.h"

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/kafka/log.h"
#include "gtest/gtest.h"
#include "tests/cluster/local_kafka.h"
#include "tests/cluster/mini_cluster.h"

namespace tenfold {
namespace {

absl::Time Soon() { return absl::Now() + absl::Seconds(5); }

class JobTopicsTest : public ::testing::Test {
 protected:
  std::unique_ptr<JobTopics> Open(const std::string& topic, StartPosition start, bool allow_compacted = false) {
    JobSpec spec;
    spec.set_name("job");
    spec.mutable_source()->set_allow_compacted(allow_compacted);
    spec.mutable_source()->add_topics(topic);
    spec.mutable_source()->set_start(start);
    absl::StatusOr<std::unique_ptr<JobTopics>> topics =
        JobTopics::Create(spec, {.brokers = KafkaBrokers(), .properties = {}}, stop_.get_token());
    EXPECT_TRUE(topics.ok()) << topics.status();
    return *std::move(topics);
  }

  std::stop_source stop_;
};

// Records of a transaction that is open when the job is submitted become readable later, and are the job's.
TEST_F(JobTopicsTest, StartLatestIsBeforeATransactionThatIsOpen) {
  const absl::StatusOr<std::string> topic = CreateTopic(1);
  ASSERT_OK(topic.status());
  ASSERT_OK(Produce(*topic, 0, {"page1|1|1|1", "page1|1|1|1"}));
  absl::StatusOr<std::unique_ptr<LogWriter>> writer =
      LogWriter::Create({.brokers = KafkaBrokers(), .properties = {}}, {.transactional_id = UniqueName("producer")});
  ASSERT_OK(writer.status());
  ASSERT_OK((*writer)->BeginTransaction());
  for (int i = 0; i < 5; ++i) ASSERT_OK((*writer)->Append(*topic, 0, "page2|1|1|1"));
  ASSERT_OK((*writer)->Flush(absl::Seconds(30)));

  const absl::StatusOr<std::vector<Partition>> resolved = Open(*topic, START_LATEST)->Resolve(Soon());
  ASSERT_OK(resolved.status());
  ASSERT_EQ(resolved->size(), 1u);
  EXPECT_EQ(resolved->front().start_offset(), 2);
  ASSERT_OK((*writer)->CommitTransaction(absl::Seconds(30)));
}

// Records may come to a partition before the driver has found it.
TEST_F(JobTopicsTest, APartitionThatIsFoundBeginsAtItsBegin) {
  const absl::StatusOr<std::string> topic = CreateTopic(1);
  ASSERT_OK(topic.status());
  const std::unique_ptr<JobTopics> topics = Open(*topic, START_LATEST);
  const absl::StatusOr<std::vector<Partition>> known = topics->Resolve(Soon());
  ASSERT_OK(known.status());
  ASSERT_OK(GrowTopic(*topic, 2));
  ASSERT_OK(Produce(*topic, 1, {"page1|1|1|1", "page1|1|1|1"}));

  const absl::StatusOr<FoundPartitions> found = topics->Find(*known);
  ASSERT_OK(found.status());
  ASSERT_EQ(found->added.size(), 1u);
  EXPECT_EQ(found->added[0].partition(), 1);
  EXPECT_EQ(found->added[0].start_offset(), 0);
}

TEST_F(JobTopicsTest, APartitionThatItsTopicNoLongerHasIsGone) {
  const absl::StatusOr<std::string> topic = CreateTopic(3);
  ASSERT_OK(topic.status());
  const std::unique_ptr<JobTopics> topics = Open(*topic, START_EARLIEST);
  const absl::StatusOr<std::vector<Partition>> known = topics->Resolve(Soon());
  ASSERT_OK(known.status());
  CreateTopicAgain(*topic, 1);

  const absl::StatusOr<FoundPartitions> found = topics->Find(*known);
  ASSERT_OK(found.status());
  EXPECT_EQ(found->gone, (std::vector<uint32_t>{1, 2}));
  EXPECT_EQ(found->begins, (std::vector<int64_t>{0, -1, -1}));
  EXPECT_TRUE(found->added.empty());
}

TEST_F(JobTopicsTest, ACompactedTopicIsRefusedUnlessTheSpecAllowsIt) {
  const std::string topic = CreateTopicAs("--partitions 1 --replication-factor 1 --config cleanup.policy=compact");
  const absl::Status refused = Open(topic, START_EARLIEST)->CheckCompacted(Soon());
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_TRUE(absl::StrContains(refused.message(), absl::StrCat("topic ", topic, " is compacted"))) << refused;
  EXPECT_TRUE(absl::StrContains(refused.message(), "allow_compacted: true")) << refused;
  EXPECT_OK(Open(topic, START_EARLIEST, /*allow_compacted=*/true)->CheckCompacted(Soon()));
}

TEST_F(JobTopicsTest, ATopicThatHasBecomeCompactedIsFound) {
  const absl::StatusOr<std::string> topic = CreateTopic(1);
  ASSERT_OK(topic.status());
  ConfigureTopic(*topic, "cleanup.policy=[compact,delete]");
  const absl::StatusOr<FoundPartitions> found = Open(*topic, START_EARLIEST)->Find({});
  ASSERT_OK(found.status());
  EXPECT_EQ(found->compacted, *topic);
}

}  // namespace
}  // namespace tenfold
